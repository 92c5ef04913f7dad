"""Events: figures, pictures, sounds and texts of a run for TensorBoard."""

from __future__ import annotations

import contextlib
import itertools
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from etils import epath
from tensorboardX import summary
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.summary_pb2 import Summary
from tensorboardX.record_writer import directory_check

from mdm.runs.uploads import PART, Uploads

_NUMBERS = itertools.count()  # of files of this process: their names are else only told apart by seconds


class Events:
    """Writes in the thread that asks for it. (The queue of tensorboardX's own writer blocks for ever once its thread has died
    of a full disk.) A file in which a write failed is left, and a new one begun: readers stop at half a record.

    first_step: hides what an earlier start wrote from this step on; None: nothing is hidden
    uploads: for an object store: files are then written here, and uploaded whole until they are large enough for a new one
    All of its methods raise what the storage raises if what they are given cannot be written; the next may be.
    """

    def __init__(self, folder: epath.Path, first_step: int | None, uploads: Uploads | None = None):
        self._folder, self._uploads = folder, uploads
        self._here = tempfile.TemporaryDirectory(prefix="mdm-events-") if uploads else None
        self._first_step = first_step
        self._writer: EventsWriter | None = None

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        self._add(step, Summary(value=[Summary.Value(tag=name, simple_value=value) for name, value in figures.items()]))

    def write_picture(self, step: int, name: str, pixels: np.ndarray) -> None:
        """pixels: uint8 [H, W, 3]"""
        self._add(step, summary.image(name, pixels, dataformats="HWC"))

    def write_sound(self, step: int, name: str, samples: np.ndarray, rate: int) -> None:
        """samples: float [N] from -1 to 1, N > 0, so many a second"""
        self._add(step, summary.audio(name, samples.clip(-1, 1), rate))

    def write_text(self, step: int, name: str, text: str) -> None:
        """text: Markdown"""
        self._add(step, summary.text(name, text))

    def _add(self, step: int, values: Summary) -> None:
        try:
            if self._writer is None:
                self._open()
            self._writer.write_event(Event(step=step, wall_time=time.time(), summary=values))
            self._writer.flush()
            if self._uploads:
                self._upload(self._uploads)
        except Exception:
            self._end_file()
            raise

    def close(self) -> None:
        """Writes what is left, if it can be."""
        self._end_file()
        if self._here:
            self._here.cleanup()

    def _open(self) -> None:
        place = self._here.name if self._here else os.fspath(self._folder)
        directory_check(place)
        self._writer = EventsWriter(os.path.join(place, "events"), f".{os.getpid()}.{next(_NUMBERS)}")
        if self._first_step is not None:  # once: a later file of this start continues it
            self._writer.write_event(Event(step=self._first_step, file_version="brain.Event:2"))
            self._first_step = None

    def _upload(self, uploads: Uploads) -> None:
        (file,) = Path(self._here.name).iterdir()
        content = file.read_bytes()
        uploads.put(self._folder / file.name, content)
        if len(content) >= PART:
            self._end_file()

    def _end_file(self) -> None:
        if self._writer:
            with contextlib.suppress(Exception):
                self._writer.close()
            self._writer = None
        if self._here:
            for file in Path(self._here.name).iterdir():
                file.unlink()
