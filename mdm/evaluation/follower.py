"""The follower: evaluates the checkpoints of a run as they come, in a process of its own, until the run has ended.

It only reads the run. A step that is deleted before its turn is missed; one that is damaged or cannot be evaluated is passed
over, and tried again when its files or the run's own change; one whose storage failed is tried again after a while and at the
end; one whose files are still arriving is waited for. The oldest step comes first: it is the next to be deleted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import NamedTuple

from absl import logging

from mdm.problems import Problem, Refusal
from mdm.runs.checkpoint import CheckpointReader, Vanished
from mdm.runs.folder import RunFolder
from mdm.runs.storage import answered, exists

POLL = 10.0  # seconds between two looks at a run that has nothing new
PATIENCE = 60.0  # seconds for which a step without a seal is taken to be still arriving
RETRY = 60.0  # seconds after which what the storage did not give is asked for again
_TOLD = 600.0  # seconds between two lines that say what is waited for


class _Passed(NamedTuple):
    """again: on the clock, when it is tried again though no file has changed; None: not before one has."""

    stamp: str
    refusal: Refusal
    again: float | None = None


class _End(NamedTuple):
    """told: for a person; written: when, as its storage says."""

    told: str
    written: float


class Follower:
    """Evaluates steps of one run.

    evaluate: one step; may raise Refusal (Vanished is one), which costs this step only
    finished: whether a step has been evaluated, by this process or by one before it; is not asked again once it has been,
              unless the step is written again
    await_start: seconds for which an end that was there before this follower is not believed: a trainer that is started beside
              it, to go on with the run, takes it back
    wait, clock: as in `time`
    """

    def __init__(
        self,
        folder: RunFolder,
        evaluate: Callable[[int], None],
        finished: Callable[[int], bool],
        await_start: float = 0.0,
        wait: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._folder, self._reader = folder, CheckpointReader(folder.checkpoints)
        self._evaluate, self._finished = evaluate, finished
        self._await_start, self._wait, self._clock = await_start, wait, clock
        self._began, self._asked = clock(), False
        self._early: _End | None = None
        self._seen: dict[int, float] = {}
        self._passed: dict[int, _Passed] = {}
        self._done: dict[int, str | None] = {}
        self._told, self._warned = -_TOLD, ""

    def follow(self) -> None:
        """Until the run's end marker is there and everything that stayed has been tried.

        Raises Refusal, at the end, with what was wrong with steps that are still there and were passed over.
        """
        while True:
            # Asked before the steps are listed: what the run saved last is then among them.
            end = self._end()
            try:
                self.catch_up(patient=end is None)
                if end is not None:
                    logging.info("the run has ended: %s", end)
                    self.finish()
                    return
                self._tell()
            except OSError as error:  # an unreachable bucket or file server; the run itself goes on, and so does this
                logging.error("%s cannot be read, it is tried again: %s", self._folder.path, error)
            self._wait(POLL)

    def finish(self) -> None:
        """Tries once more what the storage did not give, and raises as `refuse`."""
        self._passed = {step: own for step, own in self._passed.items() if own.again is None}
        self.catch_up()
        self.refuse()

    def catch_up(self, *, patient: bool = False) -> None:
        """Evaluates every step that is there and is not finished, those included that come meanwhile; each is tried once.

        patient: steps whose files may still be arriving are left for later
        """
        tried: set[int] = set()  # one that is passed over may be due again before the others were tried
        while (step := self._next(patient, tried)) is not None:
            tried.add(step)
            stamp, written = self._stamp(step), self._reader.written(step)
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
                refusal = Refusal(Problem(f"step {step}", None, str(error), remedy))
                self._passed[step] = _Passed(stamp, refusal, self._clock() + RETRY)
            else:
                self._passed.pop(step, None)
                self._done[step] = written

    def refuse(self) -> None:
        """Raises Refusal with what was wrong with the steps that were passed over and are still there, or if there are none."""
        there = self._reader.steps()
        if not there:
            reason, remedy = "holds no whole checkpoint", "train first, or check the path"
            raise Refusal(Problem(str(self._folder.checkpoints), None, reason, remedy))
        wrong = [problem for step, own in self._passed.items() if step in there for problem in own.refusal.problems]
        if wrong:
            raise Refusal(wrong)

    def _next(self, patient: bool, tried: Collection[int]) -> int | None:
        """The oldest step that is to be evaluated now and was not tried."""
        steps = self._reader.steps()
        if patient and steps and not exists(self._folder.config):
            self._warn(f"{self._folder.config} has not arrived yet")
            return None
        for step in steps:
            since = self._seen.setdefault(step, self._clock())
            if step in tried:
                continue
            written = self._reader.written(step)
            if step in self._done and self._done[step] == written:
                continue
            if patient and not self._reader.sealed(step) and self._clock() - since < PATIENCE:
                continue
            if step in self._passed and not self._again(step):
                continue
            if not self._is_finished(step):
                return step
            self._done[step] = written
        return None

    def _is_finished(self, step: int) -> bool:
        try:
            return self._finished(step)
        except Refusal as refusal:  # the evaluation meets it too, and passes the step over
            self._warn(str(refusal))
            return False

    def _again(self, step: int) -> bool:
        """Whether a step that was passed over is to be tried again."""
        passed = self._passed[step]
        return passed.stamp != self._stamp(step) or (passed.again is not None and self._clock() >= passed.again)

    def _stamp(self, step: int) -> str:
        """Of its files and of the run's own, which a copy may bring later; empty if it is gone."""
        run = self._folder
        with answered(run.path):
            small = [path.stat() for path in (run.config, run.vocabulary, run.spans) if path.exists()]
            codecs = sorted(str(path) for path in run.codecs.glob("*/*")) if run.codecs.exists() else []
        try:
            return f"{self._reader.stamp(step)} {[(own.length, own.mtime) for own in small]} {codecs}"
        except Vanished:
            return ""

    def _end(self) -> str | None:
        """What ended the run, if its end marker is there, can be read and is to be believed."""
        try:
            end = self._read_end()
        except (OSError, Refusal) as error:  # half of it, or storage that fails: it is asked for again
            self._warn(str(error))
            return None
        if not self._asked:
            self._asked, self._early = True, end
        if end is None or end != self._early:
            self._early = None  # from now on an end is that of a start that this follower has seen begin
        elif self._clock() - self._began < self._await_start:
            self._warn(f"the run had ended before ({end.told}); a trainer that goes on with it is waited for")
            return None
        return None if end is None else end.told

    def _read_end(self) -> _End | None:
        with answered(self._folder.end):
            end = self._folder.read_end()
            if end is None:
                return None
            return _End(f"{end['reason']}, at step {end['step']}", self._folder.end.stat().mtime)

    def _warn(self, what: str) -> None:
        """Once, as long as nothing else happens."""
        if what != self._warned:
            self._warned = what
            logging.warning("%s", what)

    def _tell(self) -> None:
        if self._clock() - self._told >= _TOLD:
            self._told = self._clock()
            there = "" if exists(self._folder.path) else ", which is not there yet (is the path right?)"
            logging.info("waiting for checkpoints in %s%s", self._folder.checkpoints, there)
