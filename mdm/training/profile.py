"""A few steps of a run, recorded for TensorBoard's profiler (or XProf, or Perfetto)."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable

import jax
from absl import logging
from etils import epath

from mdm.problems import Problem


@dataclasses.dataclass(frozen=True)
class ProfileSettings:
    """first: step before which recording begins, 0 for never; steps: how many are recorded. Every process records its devices."""

    first: int = 0
    steps: int = 5

    def problems(self, at: str) -> list[Problem]:
        found = []
        if self.first < 0:
            found.append(Problem(f"{at}.first", self.first, "negative", "0 records nothing; the first step is 1"))
        if self.steps < 1:
            found.append(Problem(f"{at}.steps", self.steps, "below 1", "5 is usual"))
        return found


class Profile:
    """Records the window of its settings into `folder`/plugins/profile, where TensorBoard looks for it."""

    def __init__(self, settings: ProfileSettings, folder: epath.Path):
        self._settings, self._folder = settings, folder
        self._recording = False

    def before(self, step: int, pending) -> None:
        """Call it before each step. pending: what the step before will give, waited for so that the window holds whole steps."""
        settings = self._settings
        if settings.first and step == settings.first:
            jax.block_until_ready(pending)
            self._recording = self._told(lambda: jax.profiler.start_trace(os.fspath(self._folder)))
        elif self._recording and step == settings.first + settings.steps:
            self.end(pending)

    def end(self, pending=None) -> None:
        """Writes what was recorded, if anything was."""
        if not self._recording:
            return
        self._recording = False
        jax.block_until_ready(pending)
        if not self._told(jax.profiler.stop_trace):  # which writes it
            return
        first, last = self._settings.first, self._settings.first + self._settings.steps - 1
        logging.info("profile of steps %d to %d: tensorboard --logdir %s", first, last, self._folder)

    def _told(self, act: Callable[[], None]) -> bool:
        """Whether it succeeded. A profile that cannot be written (a full disk, a bucket that refuses) costs the profile, not the
        run."""
        try:
            act()
        except Exception as error:
            logging.error("no profile was written to %s: %s", self._folder, error)
            return False
        return True
