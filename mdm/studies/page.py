"""The page of a study, as Markdown and as one HTML file with nothing outside of it. Needs the extra `report`.

Made anew from what is finished, at any time.
"""

from __future__ import annotations

import dataclasses
import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mdm import atomic
from mdm.evaluation import pages
from mdm.evaluation.result import versions
from mdm.studies import dotted
from mdm.studies.folder import StudyFolder
from mdm.studies.plan import Trial
from mdm.studies.rows import SEED, Row, groups, mean
from mdm.studies.study import Study
from mdm.studies.work import SAMPLING, TRAINING

_HERE = Path(__file__).parent
_BARS = (
    "Bars in the figures are standard errors, of differences and ratios 95% intervals; crosses on the upper edge are runs that "
    "diverged; dashed lines are fits; empty points are of repeated data."
)
_FIGURES = {
    TRAINING: "Figures are explained in mdm/studies/metrics.py; heldout_bits is the negative ELBO of documents that are not "
    "trained on, in bits a token.",
    SAMPLING: "Figures are explained in mdm/studies/sampling.py.",
}
_PLUS = "A plus behind a commit: files differed from it."


@dataclasses.dataclass(frozen=True)
class Table:
    """Means over seeds. header, cells: text."""

    header: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]


def write(
    study: Study, trials: Sequence[Trial], rows: Sequence[Row], folder: StudyFolder, command: str, expected: int
) -> None:
    """Writes results.md with its figures, and results.html.

    rows:     of the trials that are finished
    command:  that makes the page again
    expected: trials that the study has when it is finished
    Raises Refusal, naming the extra, if a package is missing.
    """
    markdown = pages.template(_HERE / "results.md.j2", {"cell": _cell})
    page = pages.template(_HERE / "results.html.j2")
    import markupsafe

    from mdm.studies import plots

    findings = [analysis.find(rows) for analysis in study.analyses]
    drawn = [plots.draw(finding.chart) if finding.chart else "" for finding in findings]
    folder.figures.mkdir(parents=True, exist_ok=True)
    names = [f"{number:02d}.svg" for number, _ in enumerate(drawn)]
    for name, figure in zip(names, drawn, strict=True):
        if figure:
            atomic.write_text(folder.figures / name, figure, shared=folder.local)
    verdict, stop, reasons = study.conclusion.partition(". ")
    facts: dict[str, Any] = {
        "verdict": f"{verdict}{stop}".rstrip(), "reasons": reasons, "bars": _BARS, "figures": _FIGURES[study.work], "plus": _PLUS,
        "study": study, "table": table(study, rows, trials), "intervals": intervals(study), "varied": varied(study),
        "finished": len(rows), "missing": expected - len(rows),
        "diverged": sum(row.diverged for row in rows), "command": command, "made_with": _made_with(folder, trials),
    }  # fmt: skip
    shown = [
        (finding, f"figures/{name}" if figure else "")
        for finding, name, figure in zip(findings, names, drawn, strict=True)
    ]
    atomic.write_text(folder.markdown, markdown.render(findings=shown, **facts), shared=folder.local)
    # Our own plots; everything else on the page is escaped.
    shown = [(finding, markupsafe.Markup(figure)) for finding, figure in zip(findings, drawn, strict=True)]
    atomic.write_text(folder.page, page.render(findings=shown, **facts), shared=folder.local)


def table(study: Study, rows: Sequence[Row], trials: Sequence[Trial]) -> Table:
    """A line for each combination of levels: mean and standard error over seeds, and how many there are; of a search, also the
    settings that were suggested."""
    axes = tuple(axis for axis in study.axis_names if axis != SEED)
    searched = tuple(study.search.space) if study.search else ()
    configs = {trial.id: trial.config for trial in trials}
    cells = []
    for cell, own in groups(rows, axes).items():
        means = [mean([row.value(name) for row in own]) for name in study.metrics]
        settings = (f"{dotted.value(configs[own[0].id], key):.3g}" for key in searched)
        others = "diverged" if any(row.diverged for row in own) else "without"
        cells.append((*cell, *settings, *(each.told(others) for each in means), str(len(own))))
    # Keys of one group are told apart by their last part.
    ends = [key.rpartition(".")[2] for key in searched]
    short = ends if len(set(ends)) == len(ends) else searched
    return Table((*axes, *short, *study.metrics, "n"), tuple(cells))


def intervals(study: Study) -> str:
    """What the intervals of the page are over."""
    count = len(study.seeds)
    over = f"Errors and differences are over {count} seeds" if count > 1 else "There is one seed and no error"
    return (
        f"{over}; intervals of a fit come from the scatter of the points about it, of ratios from that of the trials. "
        f"A seed sets {', '.join(study.seeded)} and nothing else: what that does not decide, such as the order of the rows "
        "of a training run and the documents it is scored on, is the same in all trials, and its variance is in no interval."
    )


def varied(study: Study) -> tuple[tuple[str, str, str], ...]:
    """(axis, level, what it sets), or (axis, "", key) of an axis that is one setting with its values as labels."""
    found = []
    for axis in study.axes:
        keys = {key for settings in axis.levels.values() for key in settings}
        plain = all(list(map(_short, own.values())) == [label] for label, own in axis.levels.items())
        if plain and len(keys) == 1:
            found.append((axis.name, "", f"{keys.pop()}: {', '.join(axis.levels)}"))
            continue
        for label, own in axis.levels.items():
            told = ", ".join(f"{key} = {_short(value)}" for key, value in own.items())
            found.append((axis.name, label, told or "as the base has it"))
    return tuple(found)


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else value if isinstance(value, str) else json.dumps(value)


def _made_with(folder: StudyFolder, trials: Sequence[Trial]) -> list[tuple[str, str]]:
    """Versions, commits, devices and data of the trials: more than one of a kind is worth a look."""
    results = [result for trial in trials if (result := folder.read_result(trial.id)) is not None]
    kinds: Mapping[str, list[str]] = {
        "commit": [result["commit"] for result in results],
        "versions": [", ".join(f"{k} {v}" for k, v in result["versions"].items()) for result in results],
        "device": [result["device"] for result in results],
        "data": [data for result in results for data in result["data"]],
    }
    own = ", ".join(f"{name} {version}" for name, version in versions().items())
    made = [(name, "; ".join(dict.fromkeys(values))) for name, values in kinds.items() if values]
    return [*made, ("page", f"{own}, Python {platform.python_version()}")]


def _cell(text: str) -> str:
    """For a Markdown table."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
