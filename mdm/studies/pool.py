"""A bounded pool of local processes, one a trial: memory and compiled programs go with the process.

Each has cores of its own: two trials of a small model on two cores take 7 % less time than when both run on both.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import time
from collections import deque
from collections.abc import Callable, Sequence

from absl import logging

from mdm.problems import Problem, Refusal
from mdm.studies.folder import StudyFolder
from mdm.studies.plan import Trial

_TAIL = 20  # lines of a log that are shown of a trial that failed
_POLL = 0.1  # seconds


@dataclasses.dataclass(frozen=True)
class Failure:
    """A trial that ended without a result. code: of the process; tail: the last lines that it printed."""

    trial: Trial
    code: int
    tail: str


@dataclasses.dataclass
class _Worker:
    trial: Trial
    process: subprocess.Popen
    place: int


def run(
    trials: Sequence[Trial],
    folder: StudyFolder,
    command: Callable[[Trial], Sequence[str]],
    jobs: int,
    finished: Callable[[], None] = lambda: None,
) -> tuple[Failure, ...]:
    """Runs those of `trials` that have no result, `jobs` at a time; returns those that failed.

    command:  of the process of a trial. Its standard input ends when this process does, however that happens (`parent.follow`)
    finished: called after each trial
    Raises Refusal for a folder that is not local.
    """
    if not folder.local:
        remedy = "run the tasks of --emit there, or give a local --workdir"
        raise Refusal(Problem("--workdir", str(folder.path), "the local pool writes logs to a local folder", remedy))
    waiting = deque(trial for trial in trials if folder.read_result(trial.id) is None)
    total, workers, failures = len(waiting), [], []
    places = list(range(jobs))  # that are free
    try:
        while waiting or workers:
            while waiting and len(workers) < jobs:
                trial = waiting.popleft()
                logging.info("starts %s: %d of %d", trial, total - len(waiting), total)
                workers.append(_start(trial, folder, command(trial), places.pop(0), jobs))
            time.sleep(_POLL)
            for worker in [worker for worker in workers if worker.process.poll() is not None]:
                workers.remove(worker)
                worker.process.stdin.close()
                places.append(worker.place)
                if folder.read_result(worker.trial.id) is None:
                    failures.append(_failure(worker, folder))
                finished()
    finally:
        for worker in workers:  # an exception or Ctrl-C: no trial outlives the pool
            worker.process.kill()
            worker.process.wait()
            worker.process.stdin.close()
    return tuple(failures)


def _start(trial: Trial, folder: StudyFolder, command: Sequence[str], place: int, places: int) -> _Worker:
    folder.write_trial(trial)
    with open(os.fspath(folder.log(trial.id)), "ab") as log:  # the process has its own handle of it
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT)
    if hasattr(os, "sched_setaffinity"):  # not everywhere
        own = sorted(os.sched_getaffinity(0))[place::places]
        if own:
            os.sched_setaffinity(process.pid, own)  # JAX counts cores when it starts, long after this
    return _Worker(trial, process, place)


def _failure(worker: _Worker, folder: StudyFolder) -> Failure:
    text = folder.log(worker.trial.id).read_bytes().decode(errors="replace")
    tail = "\n".join(text.splitlines()[-_TAIL:])
    logging.error("%s ended with code %d and no result:\n%s", worker.trial, worker.process.returncode, tail)
    return Failure(worker.trial, worker.process.returncode, tail)
