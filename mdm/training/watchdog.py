"""The watchdog: a process that stands still says where, and ends, so that whoever started it can start it again."""

from __future__ import annotations

import collections
import contextlib
import faulthandler
import math
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator

import jax
from absl import logging
from etils import epath

from mdm import exits
from mdm.runs import agreement, starts
from mdm.runs.folder import RunFolder
from mdm.runs.starts import Starting
from mdm.training.guards import GuardSettings

_PATIENCE = 10  # a step may take so many times what is usual
_RECENT = 100  # steps from which it is told what is usual
_LOOKS = 20  # of the thread, within the shortest time that is allowed
_LONGEST = 1.0  # seconds between two looks: processes that wait for the same thing notice it together
_PARTING = 5.0  # seconds for which process 0 waits for the others
_FAREWELL = 30.0  # seconds for what is done before the end, which may itself hang
_STDERR = 2


def allowed(settings: GuardSettings, recent: collections.abc.Collection[float]) -> float:
    """Seconds that may pass until the next step is finished. recent: seconds of steps. Their median is what is usual: one that
    stood still for half an hour must not buy the next one five."""
    least = settings.step_seconds or math.inf
    return max(least, _PATIENCE * statistics.median(recent)) if recent else least


class Watchdog:
    """Ends this process with `exits.HUNG`, behind the stacks of all threads on standard error and in the folder of its start, if
    there is no sign of life for too long. A context manager.

    The time that is allowed is `start_seconds` until the start is `opened`, `first_step_seconds` until the first `beat`, and then
    as `allowed`; 0 allows any. What hangs before it is opened counts as a start too, and ends with `exits.STUCK` where starting
    again made no sense. A thread of its own looks. If even that cannot run (a lock of the interpreter that is never given back),
    a timer of the C library prints the stacks after twice the time and ends the process with code 1.
    """

    def __init__(self, settings: GuardSettings, folder: RunFolder | None = None):
        """folder: in which a start is counted that hangs before it is opened; None for nowhere."""
        self._settings, self._folder = settings, folder
        watched = (settings.start_seconds, settings.first_step_seconds, settings.step_seconds)
        shortest = min((seconds for seconds in watched if seconds), default=0.0)
        self._pause = min(shortest / _LOOKS, _LONGEST)  # 0: nothing is watched
        self._since, self._aside, self._beats = time.monotonic(), 0.0, 0
        self._recent: collections.deque[float] = collections.deque(maxlen=_RECENT)
        self._starting: Starting | None = None
        self._number: int | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def __enter__(self) -> Watchdog:
        self._since, self._began = time.monotonic(), time.time()
        if self._pause:
            self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._over.set()
        if self._pause:
            self._thread.join()

    def numbered(self, number: int) -> None:
        """This process has taken a number for its start; others of its job may still be waited for."""
        self._number = number

    def opened(self, starting: Starting) -> None:
        """Data and run folder are open; what is left before the first step is to read a checkpoint and to compile."""
        self._starting, self._since = starting, time.monotonic()

    def beat(self) -> None:
        """A step has been finished."""
        now = time.monotonic()
        if self._beats:  # the first step compiles: it says nothing of those behind it
            self._recent.append(now - self._since - self._aside)
        self._since, self._aside, self._beats = now, 0.0, self._beats + 1

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """What passes inside, such as a save, is watched, but is no measure of a step."""
        began = time.monotonic()
        try:
            yield
        finally:
            self._aside += time.monotonic() - began

    def _allowed(self) -> float:
        if self._beats:
            return allowed(self._settings, tuple(self._recent))
        if self._starting:
            return self._settings.first_step_seconds or math.inf
        return self._settings.start_seconds or math.inf

    def _watch(self) -> None:
        try:
            while True:
                if math.isfinite(most := self._allowed()):
                    faulthandler.dump_traceback_later(2 * most, exit=True, file=_STDERR)
                else:
                    faulthandler.cancel_dump_traceback_later()  # of what was watched before
                if self._over.wait(self._pause):
                    return
                still = time.monotonic() - self._since
                if still > self._allowed():
                    self._end(still)
        finally:
            faulthandler.cancel_dump_traceback_later()

    def _end(self, still: float) -> None:
        threading.Timer(_FAREWELL, os._exit, [exits.HUNG]).start()
        faulthandler.dump_traceback_later(2 * _FAREWELL, exit=True, file=_STDERR)  # the one that is set may come before
        faulthandler.dump_traceback(_STDERR, all_threads=True)
        what = "no step was finished" if self._starting else "the start did not get as far as data and run folder"
        told = f"{what} for {still:.0f} s"
        logging.error("HUNG: %s; the stacks of all threads are above", told)
        code = exits.HUNG
        if self._starting:
            _write_stacks(self._starting.folder, jax.process_index())
            self._starting.update(code=code, reason=f"HUNG: {told}")
        elif self._folder:
            code = self._count(self._folder, f"HUNG: {told}")
        if jax.distributed.is_initialized() and agreement.first():
            # With it goes the service of JAX without which the others are aborted, and theirs may be the stacks that tell.
            time.sleep(_PARTING)
        os._exit(code)

    def _count(self, folder: RunFolder, reason: str) -> int:
        """The code with which to end."""
        most = self._settings.starts
        try:
            code, own = starts.hung(folder, most, self._began, reason, self._number)
        except Exception as error:  # another job writes there, or storage is what hangs
            logging.error("this start was not counted in %s: %s", folder.path, error)
            return exits.HUNG
        if own:
            _write_stacks(own, 0)
        if code == exits.STUCK:
            logging.error("STUCK: %d starts in a row brought no new step, see %s", most, folder.starts)
        return code


def _write_stacks(folder: epath.Path, process: int) -> None:
    """Of all threads, into the folder of a start."""
    stacks = folder / f"stacks-{process}.txt"
    try:
        with tempfile.TemporaryFile("w+", encoding="utf-8") as file:  # the library writes to descriptors alone
            faulthandler.dump_traceback(file, all_threads=True)
            file.seek(0)
            stacks.write_text(file.read())
        logging.error("the stacks are in %s", stacks)
    except Exception as error:  # they stand on the terminal
        logging.error("%s was not written: %s", stacks, error)
