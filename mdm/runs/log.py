"""The metrics log: one JSON line a window of steps, and the same figures as TensorBoard events."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
from collections.abc import Mapping

from absl import logging

from mdm import atomic
from mdm.runs.events import Events
from mdm.runs.folder import RunFolder
from mdm.runs.uploads import Growing, Uploads, joined


def read(folder: RunFolder) -> list[dict]:
    """The lines of a run's log, by their steps. A last line that a kill cut off is left out; what else is no line of one is told
    with its file and number, and left out too."""
    try:
        contents = [(folder.metrics, folder.metrics.read_bytes())]
    except FileNotFoundError:
        return []
    contents += [(folder.metrics_part(number), part) for number, part in enumerate(joined(folder.metrics_part))]
    texts = [(path, *line) for path, content in contents for line in enumerate(_lines(content), 1)]
    lines: dict[int, dict] = {}
    for place, (path, number, text) in enumerate(texts, 1):
        try:
            found = _figures(text)
        except (ValueError, RecursionError) as error:
            if place < len(texts) or text.endswith(b"\n"):
                logging.error("%s, line %d is damaged and left out: %s", path, number, error)
            continue
        lines.setdefault(found["step"], found)  # a start that was killed while it joined the parts left both
    return [lines[step] for step in sorted(lines)]


def _lines(content: bytes) -> list[bytes]:
    """With their ends, of which the last one may have none."""
    return [line for line in re.split(rb"(?<=\n)", content) if line]


def _figures(text: bytes) -> dict:
    """A line. Raises ValueError if it is none."""
    found = json.loads(text)
    if not isinstance(found, dict) or "step" not in found or type(found["step"]) is not int:
        raise ValueError("it has no step")
    return found


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
