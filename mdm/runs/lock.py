"""One job a folder: a second one would write into the same checkpoints and log, or into the same data set."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import time
from pathlib import Path
from typing import Protocol

from absl import logging

from mdm.problems import Problem, Refusal, unwritable


class Folder(Protocol):
    """path: what is held, as it is told; lock: the file in it that shows so."""

    path: Path
    lock: Path


class Lock:
    """Holds a folder for this process; a context manager. Raises Refusal, naming the holder, if another has it, and for a
    folder that cannot be written.

    The operating system gives the lock up with the process, however that ends: a killed job leaves nothing to clean up.
    Object stores, and some network file systems, have no such lock: a warning says that nothing is held. There a later start of a
    run ends the one before it (`mdm.runs.starts.Starting.superseded`).
    """

    def __init__(self, folder: Folder):
        self._folder = folder
        self._file = None

    def __enter__(self) -> Lock:
        path = os.fspath(self._folder.lock)
        if "://" in path:
            self._warn()
            return self
        # Opened for appending: a job that is refused must not wipe the holder's name.
        try:
            self._file = open(path, "a+", encoding="utf-8")
        except OSError as error:
            raise unwritable(path, "cannot be written", error, "make the folder writable, or use another") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.seek(0)
            holder = self._file.read().strip() or "an unnamed process"
            self._file.close()
            remedy = "wait for it, end it, or use another folder"
            raise Refusal(
                Problem(str(self._folder.path), None, f"another job writes here: {holder}", remedy)
            ) from error
        except OSError as error:  # Lustre mounted without flock, for one
            self._warn(f" ({error})")
        try:
            self._sign()
        except OSError as error:
            with contextlib.suppress(OSError):
                self._file.close()
            raise unwritable(path, "cannot be written", error, "make the folder writable, or use another") from error
        return self

    def _sign(self) -> None:
        """So that who is refused can name the holder."""
        self._file.truncate(0)
        since = time.strftime("%Y-%m-%d %H:%M:%S %z")
        self._file.write(json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "since": since}))
        self._file.flush()

    def _warn(self, why: str = "") -> None:
        logging.warning("%s cannot be locked%s: make sure that only one job writes there", self._folder.path, why)

    def __exit__(self, *_) -> None:
        if self._file:
            self._file.close()
