"""What was made although not everything could be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from mdm.problems import Problem, Refusal, refuse_if


class Incomplete(Refusal):
    """results: what was made; missing: names of what was not."""

    def __init__(self, problems: Iterable[Problem], results: Sequence[Any], missing: Sequence[str]):
        super().__init__({str(problem): problem for problem in problems}.values())
        self.results, self.missing = tuple(results), tuple(missing)


def refuse_missing(problems: Sequence[Problem], results: Sequence[Any], missing: Sequence[str]) -> None:
    """Raises Incomplete if there are problems, or Refusal if there is nothing else."""
    if problems and results:
        raise Incomplete(problems, results, missing)
    refuse_if(problems)
