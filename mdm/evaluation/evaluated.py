"""All that is there of one step: what its parts told, read back."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from absl import logging

from mdm.evaluation import document_scores
from mdm.evaluation.document_scores import DocumentScores
from mdm.evaluation.folder import CHOICES, GENERATED, HARNESS, ORDERS, EvaluationFolder, Line
from mdm.evaluation.generated import Generated
from mdm.evaluation.result import Result
from mdm.problems import Refusal


@dataclasses.dataclass(frozen=True)
class Evaluated:
    """results: likelihood by the ELBO; orders: by the chain rule; made: figures of what was made; choices, harness: lines;
    documents: what each document cost of the first two, where that was kept."""

    step: int
    results: Sequence[Result] = ()
    orders: Sequence[Result] = ()
    made: Sequence[Generated] = ()
    choices: Sequence[Line] = ()
    harness: Sequence[Line] = ()
    documents: Sequence[DocumentScores] = ()


def read(folder: EvaluationFolder, step: int) -> Evaluated:
    """Whatever is there, asked for or not. Raises Refusal for a damaged file."""
    return Evaluated(
        step,
        [Result.from_json(line) for line in folder.read(step)],
        [Result.from_json(line) for line in folder.read(step, ORDERS)],
        [Generated.from_json(line) for line in folder.read(step, GENERATED)],
        [line for part in folder.parts(step) if part.startswith(CHOICES) for line in folder.read(step, part)],
        folder.read(step, HARNESS),
        document_scores.read_if_there(folder.documents(step)),
    )


def history(folder: EvaluationFolder, own: Evaluated) -> dict[int, list[Result]]:
    """Step -> those of its results that compare with the same task's of `own`: the same documents, noise and kind of weights."""
    marks = {_mark(result) for result in own.results}
    found = {}
    for step in folder.steps():
        try:
            results = [Result.from_json(line) for line in folder.read(step)]
        except Refusal as refusal:
            logging.warning("%s", refusal)
            continue
        if same := [result for result in results if _mark(result) in marks]:
            found[step] = same
    return found


def _mark(r: Result) -> tuple:
    return r.split, r.stream, r.task, r.modality, r.data, r.documents, r.targets, r.samples, r.seeds, r.weights
