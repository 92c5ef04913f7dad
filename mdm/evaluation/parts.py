"""Parts of an evaluation: likelihood, multiple choice, what a model makes. One that fails costs the others nothing."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from absl import logging

from mdm.evaluation import result
from mdm.evaluation.folder import EvaluationFolder, Progress
from mdm.evaluation.incomplete import Incomplete
from mdm.evaluation.made_with import MadeWith
from mdm.evaluation.writers import Writer, figures
from mdm.problems import Problem, Refusal, refuse_if


class Figures(Protocol):
    """One result."""

    def to_json(self) -> dict: ...


@dataclasses.dataclass(frozen=True)
class Part:
    """name: of its files; make: (the model at a step, how to resume) -> results; made_with: all that decides these but the
    checkpoint. A part that takes long resumes: it calls the second with the fingerprint of what must be the same for that."""

    name: str
    make: Callable[[Any, Callable[[str], Progress]], Sequence[Figures]]
    made_with: Callable[[], MadeWith]


def make(
    folder: EvaluationFolder,
    parts: Sequence[Part],
    model: Any,
    step: int,
    stamp: Mapping[str, Any],
    writer: Writer,
    *,
    checkpoint: str | None = None,
    again: bool = False,
) -> None:
    """Makes the parts of a step that are not there or were made with something else, or all of them again.

    stamp: what every line of this run says besides its own figures; checkpoint: mark of that of the step, which they say too
    What could be made of a part is written, and it is made again, for the rest, at the next start. Raises Refusal, when all parts
    have been tried, with everything that was wrong.
    """
    problems = []
    for part in parts:
        try:
            made_with = part.made_with()
            why = folder.wanting(step, part.name, made_with, checkpoint)
            if why is None and not again:
                continue
            if folder.finished(step, part.name):
                logging.info("step %d: %s is made again: %s", step, part.name, why or "as it is asked for")
            results = part.make(model, functools.partial(folder.progress, step, part.name))
            if not results:
                raise Refusal(Problem(part.name, None, "there is nothing that it could tell", "see the warnings above"))
        except Incomplete as incomplete:
            problems += incomplete.problems
            if why is None:
                continue  # all of it is there from before
            results, made_with = incomplete.results, dataclasses.replace(made_with, missing=incomplete.missing)
        except Refusal as refusal:
            logging.error("step %d: %s is left out: %s", step, part.name, refusal)
            problems += refusal.problems
            continue
        now = {"step": step, "checkpoint": checkpoint, "time": result.now()}
        lines = [{**own.to_json(), **stamp, **now} for own in results]
        writer.write(step, figures(part.name, lines))  # first: a kill in between costs a curve no point
        folder.write(step, part.name, lines, made_with)
    refuse_if(problems)
