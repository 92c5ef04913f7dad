"""Texts that grow, in an object store, which knows no append: parts of bounded size, written by a thread of its own.

Writing one object anew for each line costs the square of its lines: 10,000 lines of 4 KB are 200 GB.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from absl import logging
from etils import epath

PART = 1 << 18  # bytes from which on an object is not written any more: what follows goes into the next one
_PAUSE = 10.0  # seconds between two uploads: what comes meanwhile goes with the next one


class Uploads:
    """Writes objects, of several contents for one object the newest alone. What fails is told, and tried again with what comes
    next. Close it: that writes what is left."""

    def __init__(self):
        self._pending: dict[epath.Path, bytes] = {}
        self._lock = threading.Lock()  # of `_pending`
        self._writing = threading.Lock()  # of the store: contents arrive in their order
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="uploads", daemon=True)
        self._thread.start()

    def put(self, path: epath.Path, content: bytes) -> None:
        """Returns at once."""
        with self._lock:
            self._pending[path] = content

    def flush(self) -> None:
        """Writes what is pending; what fails stays pending."""
        with self._writing:
            with self._lock:
                pending, self._pending = self._pending, {}
            for path, content in pending.items():
                self._write(path, content)

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        self.flush()

    def _work(self) -> None:
        while not self._over.wait(_PAUSE):
            self.flush()

    def _write(self, path: epath.Path, content: bytes) -> None:
        try:
            path.write_bytes(content)
        except Exception as error:  # a bucket's client raises its own types for a 5xx or a 429
            logging.error("%s was not written: %s", path, error)
            with self._lock:
                self._pending.setdefault(path, content)


class Growing:
    """A text of many lines. part: the object that holds its n-th part, from 0; `joined` reads them."""

    def __init__(self, part: Callable[[int], epath.Path], uploads: Uploads):
        self._part, self._uploads = part, uploads
        self._number, self._content = 0, b""

    def add(self, line: str) -> None:
        self._content += line.encode()
        self._uploads.put(self._part(self._number), self._content)
        if len(self._content) >= PART:
            self._number, self._content = self._number + 1, b""


def joined(part: Callable[[int], epath.Path]) -> list[bytes]:
    """The parts of a text that there are. A folder may not be listed for it: clients keep listings for minutes."""
    found: list[bytes] = []
    while True:
        try:
            found.append(part(len(found)).read_bytes())
        except FileNotFoundError:
            return found
