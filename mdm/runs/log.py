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
from mdm.runs.uploads import Growing, Uploads, joined


def read(folder: RunFolder) -> list[dict]:
    """The lines of a run's log, oldest first; a line that was cut off by a kill, and what follows it, is left out."""
    lines: list[dict] = []
    try:
        texts = [folder.metrics.read_text(), *joined(folder.metrics_part)]
    except FileNotFoundError:
        return []
    for text in texts:
        for line in text.splitlines():
            try:
                found = json.loads(line)
            except ValueError:
                break
            if (
                not lines or found["step"] > lines[-1]["step"]
            ):  # a start that was killed while it joined the parts left both
                lines.append(found)
    return lines


class MetricsLog:
    """Appends to a run's log. On resume it is first cut back to `resume_step`, so that no step stands in it twice.

    An object store cannot be appended to: there, what this start adds are parts beside the log, which the next start joins to it.
    They are written by a thread of its own; `flush` waits for it.
    """

    def __init__(self, folder: RunFolder, resume_step: int):
        parts = len(joined(folder.metrics_part))
        atomic.write_text(folder.metrics, "".join(_line(line) for line in read(folder) if line["step"] <= resume_step))
        for number in reversed(range(parts)):  # the first one last: without it the others are not seen
            folder.metrics_part(number).unlink()
        self._file, self._uploads = None, None
        if "://" in os.fspath(folder.metrics):
            self._uploads = Uploads()
            self._parts = Growing(folder.metrics_part, self._uploads)
        else:
            # Without a buffer: a line that was written survives the death of the process, and one that was not leaves nothing.
            self._file = open(folder.metrics, "ab", buffering=0)  # noqa: SIM115
        self._events = Events(folder.events, resume_step + 1, self._uploads)

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """Adds a line. A full disk or an unreachable bucket is logged and costs this line, not the run."""
        line = _line({"step": step, **figures})
        try:
            if self._file:
                self._append(line.encode())
            else:
                self._parts.add(line)
            self._events.write(step, figures)
        except Exception as error:  # a bucket's client raises its own types for a 5xx or a 429
            logging.error("the metrics of step %d were not written: %s", step, error)

    def flush(self) -> None:
        """Returns when all lines are where a resumed run finds them, as far as the storage takes them."""
        if self._uploads:
            self._uploads.flush()

    def close(self) -> None:
        self._events.close()
        if self._uploads:
            self._uploads.close()
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
