"""The watchdog: a process that stands still says where, and ends, so that whoever started it can start it again."""

from __future__ import annotations

import faulthandler
import os
import threading
import time

from absl import logging
from etils import epath

from mdm import exits
from mdm.training.guards import GuardSettings

_PATIENCE = 10  # a step may take so many times the slowest one so far
_LOOKS = 20  # of the thread, within the shortest time that is allowed
_FAREWELL = 30.0  # seconds for what is done before the end, which may itself hang
_STDERR = 2


def allowed(settings: GuardSettings, slowest: float | None) -> float:
    """Seconds that may pass until the next sign of life. slowest: seconds of the slowest step so far, None before the first."""
    if slowest is None:
        return settings.first_step_seconds
    return max(settings.step_seconds, _PATIENCE * slowest)


class Watchdog:
    """Ends this process with `exits.HUNG`, behind the stacks of all threads on standard error and in `stacks`, if there is no
    `beat` for as long as `allowed`. A context manager.

    A thread of its own looks. If even that cannot run (a lock of the interpreter that is never given back), a timer of the C
    library prints the stacks after twice the time and ends the process with code 1.
    """

    def __init__(self, settings: GuardSettings, stacks: epath.Path):
        self._settings, self._stacks = settings, stacks
        self._on = settings.step_seconds > 0 and settings.first_step_seconds > 0
        self._since, self._slowest = time.monotonic(), None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def __enter__(self) -> Watchdog:
        self._since = time.monotonic()
        if self._on:
            self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._over.set()
        if self._on:
            self._thread.join()

    def beat(self) -> None:
        """A step has been finished."""
        now = time.monotonic()
        if self._slowest is not None:
            self._slowest = max(self._slowest, now - self._since)
        else:
            self._slowest = 0.0  # the first step compiles: it says nothing of those behind it
        self._since = now

    def _watch(self) -> None:
        pause = min(self._settings.step_seconds, self._settings.first_step_seconds) / _LOOKS
        try:
            while True:
                most = allowed(self._settings, self._slowest)
                faulthandler.dump_traceback_later(2 * most, exit=True, file=_STDERR)
                if self._over.wait(pause):
                    return
                still = time.monotonic() - self._since
                if still > allowed(self._settings, self._slowest):
                    self._end(still)
        finally:
            faulthandler.cancel_dump_traceback_later()

    def _end(self, still: float) -> None:
        threading.Timer(_FAREWELL, os._exit, [exits.HUNG]).start()
        faulthandler.dump_traceback(_STDERR, all_threads=True)
        logging.error(
            "HUNG: no step was finished for %.0f s; the stacks of all threads are above and in %s", still, self._stacks
        )
        if "://" not in os.fspath(self._stacks):
            with open(self._stacks, "w", encoding="utf-8") as file:
                faulthandler.dump_traceback(file, all_threads=True)
        os._exit(exits.HUNG)
