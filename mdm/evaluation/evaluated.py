"""All that is there of one step: what its parts told, read back."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from absl import logging

from mdm.evaluation import document_scores
from mdm.evaluation.document_scores import DocumentScores
from mdm.evaluation.folder import CHOICES, GENERATED, HARNESS, ORDERS, EvaluationFolder, Line
from mdm.evaluation.generated import Generated
from mdm.evaluation.made_with import MadeWith
from mdm.evaluation.measures.registry import MEASURES
from mdm.evaluation.result import Result
from mdm.problems import Refusal


@dataclasses.dataclass(frozen=True)
class Evaluated:
    """results: likelihood by the ELBO; orders: by the chain rule; made: figures of what was made; choices, harness: lines;
    documents: what each document cost of the first two, where that was kept; left_out: names of the parts that cannot stand
    beside `results`, and why; absent: measures of what was made that lacked a package."""

    step: int
    results: Sequence[Result] = ()
    orders: Sequence[Result] = ()
    made: Sequence[Generated] = ()
    choices: Sequence[Line] = ()
    harness: Sequence[Line] = ()
    documents: Sequence[DocumentScores] = ()
    left_out: Sequence[str] = ()
    absent: Sequence[str] = ()


def read(folder: EvaluationFolder, step: int) -> Evaluated:
    """Whatever is there, asked for or not, of the weights, the data and the checkpoint of the likelihood; the parts of others are
    left out. Raises Refusal for a damaged file."""
    return dataclasses.replace(
        read_parts(folder, step), documents=document_scores.read_if_there(folder.documents(step))
    )


def read_parts(folder: EvaluationFolder, step: int) -> Evaluated:
    """As `read`, but without `documents`, which are large."""
    results = folder.read_as(Result.from_json, step)
    choices = sorted(part for part in folder.parts(step) if part.startswith(CHOICES))
    lines = {part: folder.read(step, part) for part in (ORDERS, GENERATED, HARNESS, *choices)}
    others = {part: _other(folder, results, part, own) for part, own in lines.items()}
    fitting = {part for part in lines if not others[part]}
    return Evaluated(
        step,
        results,
        folder.read_as(Result.from_json, step, ORDERS) if ORDERS in fitting else [],
        folder.read_as(Generated.from_json, step, GENERATED) if GENERATED in fitting else [],
        [line for part in choices if part in fitting for line in lines[part]],
        lines[HARNESS] if HARNESS in fitting else [],
        left_out=[f"{part}: {why}" for part, why in others.items() if why],
        absent=_absent(folder, lines[GENERATED]) if GENERATED in fitting else [],
    )


def _other(folder: EvaluationFolder, results: Sequence[Result], part: str, lines: Sequence[Line]) -> str:
    """What the lines of a part were made with instead of what the likelihood was; empty if they were made with the same."""
    if not results or not lines:
        return ""
    made_with = _made_with(folder, lines)
    settings = made_with.settings if made_with else {}
    data = lines[0] if part == ORDERS else settings  # "data" of a line of choices is its file, of the harness a version
    own = results[0]
    pairs = [
        ("weights", _told(lines[0], "weights"), own.weights),
        ("data", _told(data, "data"), own.data),
        ("checkpoint", _told(lines[0], "checkpoint"), own.checkpoint),
    ]
    return ", ".join(
        f"{name} {one}, not {other}" for name, one, other in pairs if None not in (one, other) and one != other
    )


def _absent(folder: EvaluationFolder, lines: Sequence[Line]) -> list[str]:
    """Names of the measures that were passed over, by what these lines say that they were made with."""
    made_with = _made_with(folder, lines)
    if made_with is None or "tasks" not in made_with.settings:
        return []
    tasks = {task for own in made_with.settings["tasks"].values() for task in own}
    return [m.name for m in MEASURES if m.packages and tasks & set(m.tasks) and m.name not in made_with.available]


def _made_with(folder: EvaluationFolder, lines: Sequence[Line]) -> MadeWith | None:
    mark = _told(lines[0], "made_with") if lines else None
    return folder.made_with(mark) if mark else None


def _told(line: Line, key: str) -> Any:
    """None in lines of earlier versions."""
    return line[key] if key in line else None


def history(folder: EvaluationFolder, own: Evaluated) -> dict[int, list[Result]]:
    """Step -> those of its results that compare with the same task's of `own`: the same documents, noise and kind of weights."""
    marks = {_mark(result) for result in own.results}
    found = {}
    for step in folder.steps():
        try:
            results = folder.read_as(Result.from_json, step)
        except Refusal as refusal:
            logging.warning("%s", refusal)
            continue
        if same := [result for result in results if _mark(result) in marks]:
            found[step] = same
    return found


def parts_of(folder: EvaluationFolder, steps: Iterable[int]) -> dict[int, Evaluated]:
    """As `read_parts`, by step; those that are damaged are left out, with a warning."""
    found = {}
    for step in steps:
        try:
            found[step] = read_parts(folder, step)
        except Refusal as refusal:
            logging.warning("%s", refusal)
    return found


def _mark(r: Result) -> tuple:
    return r.split, r.stream, r.task, r.modality, r.data, r.documents, r.targets, r.samples, r.seeds, r.weights
