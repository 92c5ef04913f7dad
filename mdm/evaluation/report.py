"""The report: one HTML page, with nothing outside of it, that shows what a run was and what came of it.

Needs the extra `report` (jinja2, matplotlib).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mdm.data.manifest import SPLITS, Manifest
from mdm.evaluation import against, comparisons, measured, notes, pages, shown, tables
from mdm.evaluation.against import EvaluatedRun
from mdm.evaluation.evaluated import Evaluated
from mdm.evaluation.gallery import Piece, Room
from mdm.evaluation.result import Result
from mdm.evaluation.tables import Table
from mdm.model.transformer import ModelSettings
from mdm.tokens.tasks import TASKS
from mdm.tokens.vocabulary import MODALITIES

_TEMPLATE = Path(__file__).parent / "report.html.j2"


@dataclasses.dataclass(frozen=True)
class Report:
    """What the page tells.

    title:    of the page
    lines:    the metrics log
    run:      at one step; others: to set beside it
    history:  step -> results that compare with those of this step
    manifest: of the data set
    rooms:    of the gallery
    facts:    title of a group -> (name, value) pairs for people: model, hardware, times
    parts:    step -> what there is of it, for those of `history` that are shown, `documents` aside
    """

    title: str
    lines: Sequence[Mapping[str, float]]
    run: EvaluatedRun
    history: Mapping[int, Sequence[Result]]
    others: Sequence[EvaluatedRun]
    manifest: Manifest
    rooms: Sequence[Room]
    facts: Mapping[str, Sequence[tuple[str, str]]]
    parts: Mapping[int, Evaluated] = dataclasses.field(default_factory=dict)

    @property
    def own(self) -> Evaluated:
        """All that there is of the step."""
        return self.run.own


def render(report: Report) -> str:
    """The page. Raises Refusal, naming the extra, if a package is missing."""
    page = pages.template(_TEMPLATE, {"figure": _figure, "signed": _signed, "gain": _gain})
    import markupsafe

    from mdm.evaluation import plots

    held = _held_out(report.own.results)
    history = {step: _held_out(results) or results for step, results in report.history.items()}
    unigram = _by_modality(held or report.own.results)
    safe = markupsafe.Markup  # our own plots; everything else on the page is escaped
    return page.render(
        report=report,
        streams=[
            {"name": name, "split": split, "documents": stream.documents(split), "content": stream.content[split]}
            for name, stream in report.manifest.streams.items()
            for split in SPLITS
        ],
        curves=[
            safe(plots.learning_curve(modality, report.lines, unigram[modality] if modality in unigram else None))
            for modality in MODALITIES
            if any(f"elbo_bits/{modality}" in line for line in report.lines)
        ],
        rows=safe(plots.mixture(report.lines, "rows")) if report.lines else "",
        targets=safe(plots.mixture(report.lines, "targets")) if report.lines else "",
        several=tables.shares_a_task(report.own.results),
        bars=safe(plots.against_unigram(held)) if held else "",
        steps=tables.steps(report.history) if len(report.history) > 1 else None,
        over_steps=[
            safe(plots.over_steps(modality, history))
            for modality in MODALITIES
            if len(report.history) > 1 and any(result.modality == modality for result in report.own.results)
        ],
        other_steps=_figures(_by_step(report)),
        beside=_beside(report),
        parts_of_step=[
            (title, show(lines), note(lines))
            for title, lines, show, note in (
                ("In given orders", report.own.orders, tables.likelihood, notes.likelihood),
                ("Multiple choice", report.own.choices, tables.choices, notes.choices),
                ("lm-evaluation-harness", report.own.harness, tables.harness, notes.harness),
            )
            if lines
        ],
        measured=measured.blocks(report.own.made),
        how_measured=notes.generated(report.own.made, report.own.absent) if report.own.made else "",
        rooms=[
            {"room": room, "pieces": [_shown(room, piece) for piece in room.pieces], "beside": _differences(room)}
            for room in report.rooms
        ],
    )


def _beside(report: Report) -> dict[str, Any] | None:
    """This run and the others, or None if there are none."""
    if not report.others:
        return None
    found = [report.run, *report.others]
    others = {run.name: run.own for run in report.others}
    return {
        "runs": against.runs(found),
        "settings": against.settings(found),
        "tasks": tables.against(report.own, report.run.name, others),
        "figures": _figures({report.run.name: report.own, **others}),
    }


def _by_step(report: Report) -> dict[str, Evaluated]:
    """The step of the page, and behind it the others, the newest first."""
    steps = [step for step in sorted(report.parts, reverse=True) if step != report.own.step]
    return {f"step {report.own.step}": report.own, **{f"step {step}": report.parts[step] for step in steps}}


def _figures(columns: Mapping[str, Evaluated]) -> list[tuple[str, Table]]:
    """Titles and tables of what these make and answer, as far as they compare with the first."""
    found = [("What they make", comparisons.figures), ("Multiple choice, right (%)", comparisons.choices)]
    made = [(title, show(columns)) for title, show in found if len(columns) > 1]
    return [(title, own) for title, own in made if own is not None]


def facts(
    parameters: int,
    model: ModelSettings,
    row_length: int,
    batch_size: int,
    results: Sequence[Result],
    lines: Sequence[Mapping[str, float]],
    rooms: Sequence[Room],
) -> dict[str, list[tuple[str, str]]]:
    """`Report.facts` of a run: what was trained, what it took, what looking at it took."""
    scoring = sum({(result.split, result.stream, result.task): result.seconds for result in results}.values())
    return {
        "Model": [
            ("parameters", f"{parameters:,}"),
            ("width x depth", f"{model.width} x {model.depth}"),
            ("checkpoint", f"step {results[0].step}"),
        ],
        "Training": _training(lines, row_length, batch_size) if lines else [],
        "Evaluation": [
            ("scoring", f"{scoring / 60:.1f} min"),
            ("sampling", f"{sum(room.seconds for room in rooms) / 60:.1f} min"),
            ("device", results[0].device),
            ("versions", ", ".join(f"{name} {version}" for name, version in results[0].versions.items())),
        ],
    }


def _held_out(results: Sequence[Result]) -> list[Result]:
    return [result for result in results if result.split == SPLITS[1]]


def _training(lines: Sequence[Mapping[str, float]], row_length: int, batch_size: int) -> list[tuple[str, str]]:
    return [
        ("tokens", f"{lines[-1]['tokens']:,.0f}"),
        ("batch", f"{batch_size} rows of {row_length}"),
        ("time", f"{sum(line['seconds'] for line in lines) / 60:.1f} min"),
        ("speed", f"{np.median([line['tokens_per_second'] for line in lines]):,.0f} tokens/s"),
        ("waiting for data", f"{100 * np.mean([line['input_wait_share'] for line in lines]):.2f} %"),
    ]


def _by_modality(results: Sequence[Result]) -> dict[str, float]:
    """Unigram bits of each modality, over all tasks whose target it is, weighted by tokens."""
    found = {}
    for modality in {result.modality for result in results}:
        own = [(result.unigram_bits, result.targets) for result in results if result.modality == modality]
        found[modality] = float(np.average([bits for bits, _ in own], weights=[count for _, count in own]))
    return found


def _shown(room: Room, piece: Piece) -> dict[str, Any]:
    """Of a piece: its split, the condition, and for each target what the original, the codec and the model have."""
    task = TASKS[room.wing.task]
    made = [("model" if not number else "model (beside)", own) for number, own in enumerate(piece.made)]
    return {
        "split": {"train": "seen in training", "heldout": "held out"}[piece.split] if piece.split else "from nothing",
        "conditions": [shown.medium("given", piece.original[m]) for m in task.conditions if m in piece.original],
        "targets": [
            shown.medium(label, own[m])
            for m in task.targets
            for label, own in (("original", piece.original), ("codec", piece.codec), *made)
            if m in own
        ],
    }


def _differences(room: Room) -> list[dict[str, Any]]:
    """What each further sampler has that the first one has not."""
    first, *others = room.samplers
    return [{name: value for name, value in other.items() if value != first[name]} for other in others]


def _figure(value: float | None, digits: int = 3) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _signed(value: float | None) -> str:
    return "" if value is None else f"{value:+.3f}"


def _gain(result: Result) -> str:
    return f"{100 * (1 - result.bits / result.unigram_bits):.1f} %"
