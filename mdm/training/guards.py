"""What keeps a run from harm that nobody sees."""

from __future__ import annotations

import dataclasses

from mdm.problems import Problem


@dataclasses.dataclass(frozen=True)
class GuardSettings:
    """None of them changes a number of the run; 0 switches each off.

    starts:             in a row without a new step, after which the run is given up as stuck
    step_seconds:       longest that a step may take, or ten times the median of recent ones, before the process is ended as hung
    first_step_seconds: the same until the first step is done: with reading a checkpoint and compiling
    start_seconds:      the same before that: until data and run folder are open
    spike:              deviations above the running mean from which a loss is told as a spike
    memory:             share of the machine's memory, and
    checkpoints:        number of further checkpoints for which the disk has room, below which there is a warning
    """

    starts: int = 5
    step_seconds: float = 1800.0
    first_step_seconds: float = 7200.0
    start_seconds: float = 1800.0
    spike: float = 8.0
    memory: float = 0.05
    checkpoints: int = 2

    def problems(self, at: str) -> list[Problem]:
        found = [
            Problem(f"{at}.{field.name}", getattr(self, field.name), "negative", "0 switches it off")
            for field in dataclasses.fields(self)
            if not getattr(self, field.name) >= 0
        ]
        if self.memory >= 1:
            found.append(Problem(f"{at}.memory", self.memory, "is no share of the memory", "0.05 is usual"))
        return found
