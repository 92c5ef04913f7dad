"""The metrics log: one JSON line a window of steps, and the same figures as TensorBoard events."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Mapping

from absl import logging

from mdm import atomic
from mdm.runs.events import Events
from mdm.runs.folder import RunFolder


def read(folder: RunFolder) -> list[dict]:
    """The lines of a run's log, oldest first; a line that was cut off by a kill, and what follows it, is left out."""
    lines = []
    try:
        text = folder.metrics.read_text()
    except FileNotFoundError:
        return []
    for line in text.splitlines():
        try:
            lines.append(json.loads(line))
        except ValueError:
            break
    return lines


class MetricsLog:
    """Appends to a run's log. On resume it is first cut back to `resume_step`, so that no step stands in it twice."""

    def __init__(self, folder: RunFolder, resume_step: int):
        self._folder = folder
        kept = [line for line in read(folder) if line["step"] <= resume_step]
        self._text = "".join(_line(line) for line in kept)
        atomic.write_text(folder.metrics, self._text)
        self._local = "://" not in os.fspath(folder.metrics)
        # Without a buffer: a line that was written survives the death of the process, and one that was not leaves nothing.
        self._file = open(folder.metrics, "ab", buffering=0) if self._local else None  # noqa: SIM115
        self._events = Events(folder.events, resume_step + 1)

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """Adds a line. A full disk or an unreachable bucket is logged and costs this line, not the run."""
        line = _line({"step": step, **figures})
        try:
            if self._file:
                self._append(line.encode())
            else:
                self._text += line  # an object store has no append
                self._folder.metrics.write_text(self._text)
            self._events.write(step, figures)
        except Exception as error:  # a bucket's client raises its own types for a 5xx or a 429
            logging.error("the metrics of step %d were not written: %s", step, error)

    def close(self) -> None:
        self._events.close()
        if self._file:
            self._file.close()

    def _append(self, line: bytes) -> None:
        """All of a line or nothing: half of one would hide those behind it."""
        size = os.fstat(self._file.fileno()).st_size
        try:
            if self._file.write(line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            with contextlib.suppress(OSError):
                self._file.truncate(size)
            raise


def _line(figures: Mapping) -> str:
    return json.dumps(figures) + "\n"
