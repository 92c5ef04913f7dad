"""What a run has around it: who asks it to go, who waits for it to begin, who watches that it gets on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from mdm.training.guards import GuardSettings
from mdm.training.watchdog import Watchdog


def _never(step: int) -> bool:
    return False


def _nothing() -> None:
    pass


def _nobody() -> Watchdog:
    return Watchdog(GuardSettings())  # it was not entered: it does not look


@dataclasses.dataclass(frozen=True)
class Around:
    """By default nobody is there.

    asked:    whether to save behind a step and go, the same on all processes
    accepted: called by the process that writes once job, data and checkpoint fit each other, before the run writes any more
    watchdog: is told of every step
    """

    asked: Callable[[int], bool] = _never
    accepted: Callable[[], None] = _nothing
    watchdog: Watchdog = dataclasses.field(default_factory=_nobody)
