"""The follower: evaluates the checkpoints of a run as they come, in a process of its own, until the run has ended.

It only reads the run. A step that is deleted before its turn is missed; one that is damaged or cannot be evaluated is passed
over, and tried again when its files change; one whose files are still arriving is waited for. The oldest step comes first: it
is the next to be deleted.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from absl import logging

from mdm.problems import Problem, Refusal
from mdm.runs.checkpoint import CheckpointReader, Vanished
from mdm.runs.folder import RunFolder

POLL = 10.0  # seconds between two looks at a run that has nothing new
PATIENCE = 60.0  # seconds for which a step without a seal is taken to be still arriving
_TOLD = 600.0  # seconds between two lines that say what is waited for


class _Passed(NamedTuple):
    stamp: str
    refusal: Refusal


class Follower:
    """Evaluates steps of one run.

    evaluate: one step; may raise Refusal (Vanished is one), which costs this step only
    finished: whether a step has been evaluated, by this process or by one before it
    wait, clock: as in `time`
    """

    def __init__(
        self,
        folder: RunFolder,
        evaluate: Callable[[int], None],
        finished: Callable[[int], bool],
        wait: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._folder, self._reader = folder, CheckpointReader(folder.checkpoints)
        self._evaluate, self._finished = evaluate, finished
        self._wait, self._clock = wait, clock
        self._seen: dict[int, float] = {}
        self._passed: dict[int, _Passed] = {}
        self._told = -_TOLD

    def follow(self) -> None:
        """Until the run's end marker is there and everything that stayed has been tried.

        Raises Refusal, at the end, with what was wrong with steps that are still there and were passed over.
        """
        while True:
            try:
                # Asked before the steps are listed: what the run saved last is then among them.
                ended = self._folder.read_end() is not None
                self.catch_up(patient=not ended)
            except OSError as error:  # an unreachable bucket or file server; the run itself goes on, and so does this
                logging.error("%s cannot be read, it is tried again: %s", self._folder.path, error)
                ended = False
            if ended:
                break
            self._tell()
            self._wait(POLL)
        self.refuse()

    def catch_up(self, *, patient: bool = False) -> None:
        """Evaluates every step that is there and is not finished, those included that come meanwhile.

        patient: steps whose files may still be arriving are left for later
        """
        while (step := self._next(patient)) is not None:
            stamp = self._stamp(step)
            try:
                self._evaluate(step)
            except Vanished as vanished:
                logging.warning("step %d is missed, keep more checkpoints or evaluate less: %s", step, vanished)
                self._passed[step] = _Passed(stamp, vanished)
            except Refusal as refusal:
                logging.error("step %d is passed over: %s", step, refusal)
                self._passed[step] = _Passed(stamp, refusal)
            except OSError as error:  # of what is read beside the checkpoint, or of where the results go
                logging.error("step %d is passed over: %s", step, error)
                remedy = "see the error, and start again: what was finished is kept"
                self._passed[step] = _Passed(stamp, Refusal(Problem(f"step {step}", None, str(error), remedy)))
            else:
                self._passed.pop(step, None)

    def refuse(self) -> None:
        """Raises Refusal with what was wrong with the steps that were passed over and are still there, or if there are none."""
        there = self._reader.steps()
        if not there:
            reason, remedy = "holds no whole checkpoint", "train first, or check the path"
            raise Refusal(Problem(str(self._folder.checkpoints), None, reason, remedy))
        wrong = [problem for step, own in self._passed.items() if step in there for problem in own.refusal.problems]
        if wrong:
            raise Refusal(wrong)

    def _next(self, patient: bool) -> int | None:
        """The oldest step that is to be evaluated now."""
        for step in self._reader.steps():
            since = self._seen.setdefault(step, self._clock())
            if self._finished(step):
                continue
            if patient and not self._reader.sealed(step) and self._clock() - since < PATIENCE:
                continue
            if step in self._passed and self._passed[step].stamp == self._stamp(step):
                continue
            return step
        return None

    def _stamp(self, step: int) -> str:
        """Of its files; empty if it is gone."""
        try:
            return self._reader.stamp(step)
        except Vanished:
            return ""

    def _tell(self) -> None:
        if self._clock() - self._told >= _TOLD:
            self._told = self._clock()
            there = "" if self._folder.path.exists() else ", which is not there yet (is the path right?)"
            logging.info("waiting for checkpoints in %s%s", self._folder.checkpoints, there)
