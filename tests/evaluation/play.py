"""A run that is played to the follower: steps come, vanish, are damaged, arrive late."""

import shutil

import jax.numpy as jnp

from mdm.evaluation.follower import POLL, Follower
from mdm.problems import Problem, Refusal
from mdm.runs.checkpoint import Vanished
from mdm.runs.folder import RunFolder

STATE = {"rows": jnp.uint32(1), "parameters": {"a": jnp.ones(4)}, "ema": {"a": jnp.ones(4)}}


class Play:
    """A run folder, a clock, and what happens at each poll; `evaluated` is in order."""

    def __init__(self, folder, whole):
        self.folder, self._whole = RunFolder(folder / "run"), whole
        self.folder.create()
        self.folder.write_json(self.folder.config, {})
        self.now, self.evaluated, self.finished, self.script = 0.0, [], set(), []
        self.broken: set[int] = set()
        self.failing: set[int] = set()

    def follower(self, during=lambda step: None, await_start=0.0):
        def evaluate(step):
            during(step)
            if not (self.folder.checkpoints / str(step)).exists():
                raise Vanished(self.folder.checkpoints, step, [])
            if step in self.failing:
                raise OSError("Input/output error")
            if step in self.broken:
                raise Refusal(Problem(f"checkpoints/{step}", None, "is damaged", "restore it"))
            self.evaluated.append(step)
            self.finished.add(step)

        return Follower(
            self.folder, evaluate, self.finished.__contains__, await_start, wait=self._wait, clock=lambda: self.now
        )

    def save(self, *steps, sealed=True):
        for step in steps:
            shutil.copytree(self._whole, self.folder.checkpoints / str(step))
            if not sealed:
                (self.folder.checkpoints / str(step) / "seal.json").unlink()

    def delete(self, *steps):
        for step in steps:
            shutil.rmtree(self.folder.checkpoints / str(step))

    def _wait(self, seconds):
        assert seconds == POLL
        self.now += seconds
        assert self.script, "the follower waits for a run that has ended"
        self.script.pop(0)()

    def end(self):
        self.folder.mark_end("token budget reached", 0)


def nothing():
    """Happens at a poll."""
