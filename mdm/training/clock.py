"""Where the wall time of a run goes, as the host sees it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

RESTORE, COMPILE, INPUT, SAVE, LOG, STEP = "restore", "compile", "input_wait", "save", "log", "step"
_CHORES = (RESTORE, COMPILE, INPUT, SAVE, LOG)
_OF_A_WINDOW = (INPUT, SAVE, LOG)


class Clock:
    """Time since the last line of the log and since the begin, and how much of it the loop stood in each of its chores.

    What is left, from the first step on, is the step: the loop starts it, and waits for the one before.
    """

    def __init__(self):
        self._since = self._stepping = None
        self._spent = dict.fromkeys(_CHORES, 0.0)
        self._before = self._spent

    def start_steps(self) -> None:
        """The first window begins."""
        self._since = self._stepping = time.perf_counter()
        self._before = dict(self._spent)
        self._aside = sum(self._spent.values())

    @contextlib.contextmanager
    def spent_on(self, chore: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self._spent[chore] += time.perf_counter() - began

    def compiling(self, program: Callable) -> Callable:
        """`program`, with its first call counted as compilation."""
        called = False

        def timed(*arguments):
            nonlocal called
            if called:
                return program(*arguments)
            called = True
            with self.spent_on(COMPILE):
                return program(*arguments)

        return timed

    def seconds(self) -> dict[str, float]:
        """Since the begin, by what they went into."""
        found = dict(self._spent)
        if self._stepping is not None:
            found[STEP] = time.perf_counter() - self._stepping - (sum(self._spent.values()) - self._aside)
        return found

    def figures(self, tokens: float, flops: float, peak: float | None) -> dict[str, float]:
        """Of the window that ends now; the next one begins.

        tokens: positions in it that are not padding; flops: that the model needed for it; peak: FLOP/s of all chips, None
        where the chip is not known: then there is no MFU. Rates leave out the time that went into compilation.
        """
        now = time.perf_counter()
        elapsed = now - self._since
        running = elapsed - (self._spent[COMPILE] - self._before[COMPILE])
        found = {"seconds": elapsed, "tokens_per_second": tokens / running, "model_flops_per_second": flops / running}
        if peak:
            found["mfu"] = flops / running / peak
        found |= {f"{chore}_share": (self._spent[chore] - self._before[chore]) / elapsed for chore in _OF_A_WINDOW}
        self._since, self._before = now, dict(self._spent)
        return found
