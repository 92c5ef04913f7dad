"""What a process tells on its terminal, kept in the run folder as well."""

from __future__ import annotations

import contextlib
import logging as logging_
import os

from absl import logging
from etils import epath


class _File(logging_.FileHandler):
    """A full disk costs lines of the copy: they stand on the terminal all the same."""

    def handleError(self, record: logging_.LogRecord) -> None:
        pass


class TextLog:
    """Copies the log of this process to a file; a context manager. Object stores cannot be appended to: there it does nothing,
    and the platform's own log is what there is."""

    def __init__(self, path: epath.Path):
        self._path = os.fspath(path)
        self._handler: logging_.Handler | None = None

    def __enter__(self) -> TextLog:
        if "://" not in self._path:
            shown = logging.get_absl_handler()
            self._handler = _File(self._path, encoding="utf-8")
            self._handler.setFormatter(shown.formatter)
            for chosen in shown.filters:
                self._handler.addFilter(chosen)
            logging_.getLogger().addHandler(self._handler)
        return self

    def __exit__(self, *_) -> None:
        if self._handler:
            logging_.getLogger().removeHandler(self._handler)
            with contextlib.suppress(OSError):
                self._handler.close()
