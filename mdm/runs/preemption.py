"""Being asked to go: the run saves where it stands, all processes the same step, and ends with `exits.PREEMPTED`."""

from __future__ import annotations

import os
import signal
import threading

import jax
from absl import logging
from jax.experimental import multihost_utils

from mdm import exits
from mdm.runs import agreement


class Preempted(exits.Ending):
    """Raised behind the last save of a run that was asked to go."""

    code = exits.PREEMPTED


class Preemption:
    """Listens for SIGTERM (schedulers, clouds) and SIGINT (Ctrl-C); a context manager. A second one ends the process at once.

    On several processes JAX listens for SIGTERM, from its `initialize` on, and lets them agree on a step to save (within about
    a second); SIGINT is handed on to it. Outside the main thread nothing is listened for: Python allows it there alone.
    """

    def __init__(self):
        self._asked = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> Preemption:
        if threading.current_thread() is threading.main_thread():
            own = (signal.SIGINT,) if agreement.several() else (signal.SIGINT, signal.SIGTERM)
            self._before = {number: signal.signal(number, self._note) for number in own}
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def reached(self, step: int) -> bool:
        """Whether to save behind `step` and go. All processes must ask behind every step: they get the same answer."""
        if jax.process_count() > 1:
            return multihost_utils.reached_preemption_sync_point(step)
        return self._asked

    def _note(self, number: int, _) -> None:
        if self._asked:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self._asked = True
        logging.warning(
            "%s: the run saves and ends behind this step; once more ends it at once", signal.Signals(number).name
        )
        if jax.process_count() > 1:
            os.kill(os.getpid(), signal.SIGTERM)  # to the listener of JAX
