"""Where the wall time of a run goes, as the host sees it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

INPUT, SAVE, LOG = "input_wait", "save", "log"


class Clock:
    """Time since the last line of the log, and how much of it the loop stood in each of its chores.

    What is left is the step: the loop starts it, and waits for the one before.
    """

    def __init__(self):
        self._since = time.perf_counter()
        self._spent = dict.fromkeys((INPUT, SAVE, LOG), 0.0)

    @contextlib.contextmanager
    def spent_on(self, chore: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self._spent[chore] += time.perf_counter() - began

    def figures(self, tokens: float, flops: float, peak: float | None) -> dict[str, float]:
        """Of the window that ends now; the next one begins.

        tokens: positions in it that are not padding; flops: that the model needed for it; peak: FLOP/s of all chips, None
        where the chip is not known: then there is no MFU.
        """
        now = time.perf_counter()
        elapsed = now - self._since
        found = {"seconds": elapsed, "tokens_per_second": tokens / elapsed, "model_flops_per_second": flops / elapsed}
        if peak:
            found["mfu"] = flops / elapsed / peak
        found |= {f"{chore}_share": spent / elapsed for chore, spent in self._spent.items()}
        self._since, self._spent = now, dict.fromkeys(self._spent, 0.0)
        return found
