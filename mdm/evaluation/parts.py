"""Parts of an evaluation: likelihood, multiple choice, what a model makes. One that fails costs the others nothing."""

from __future__ import annotations

import dataclasses
import datetime
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from absl import logging

from mdm.evaluation.folder import EvaluationFolder, Progress
from mdm.evaluation.result import Partly
from mdm.evaluation.writers import Writer, figures
from mdm.problems import Refusal, refuse_if


class Figures(Protocol):
    """One result."""

    def to_json(self) -> dict: ...


@dataclasses.dataclass(frozen=True)
class Part:
    """name: of its files; make: (the model at a step, how to resume) -> results. A part that takes long resumes: it calls the
    second with the fingerprint of all that decides its results but the checkpoint."""

    name: str
    make: Callable[[Any, Callable[[str], Progress]], Sequence[Figures]]


def make(
    folder: EvaluationFolder,
    parts: Sequence[Part],
    model: Any,
    step: int,
    stamp: Mapping[str, Any],
    writer: Writer,
    *,
    again: bool = False,
) -> None:
    """Makes the parts of a step that are not finished, or all of them again.

    stamp: what every line of this run says besides its own figures
    A part that was made in part is written, and is finished: what is wrong with the rest is to be mended, not tried again.
    Raises Refusal, when all parts have been tried, with everything that was wrong.
    """
    problems = []
    for part in parts:
        if folder.finished(step, part.name) and not again:
            continue
        try:
            results = part.make(model, functools.partial(folder.progress, step, part.name))
        except Partly as partly:
            logging.error("step %d: some of %s is left out: %s", step, part.name, partly)
            problems += partly.problems
            if not partly.results:
                continue
            results = partly.results
        except Refusal as refusal:
            logging.error("step %d: %s is left out: %s", step, part.name, refusal)
            problems += refusal.problems
            continue
        now = {"step": step, "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")}
        lines = [{**result.to_json(), **stamp, **now} for result in results]
        folder.write(step, part.name, lines)
        writer.write(step, figures(part.name, lines))
    refuse_if(problems)
