"""What a process tells on its terminal, kept in the run folder as well."""

from __future__ import annotations

import contextlib
import logging as logging_
import os

from absl import logging
from etils import epath

from mdm.exits import Ending
from mdm.runs.uploads import Growing, Uploads


class _File(logging_.FileHandler):
    """A full disk costs lines of the copy: they stand on the terminal all the same."""

    def handleError(self, record: logging_.LogRecord) -> None:
        pass


class _Objects(logging_.Handler):
    """Into parts of a text in an object store. What the uploading thread itself tells is left out: it would tell it for ever."""

    def __init__(self, path: epath.Path):
        super().__init__()
        self._uploads = Uploads()
        self._text = Growing(lambda number: _part(path, number), self._uploads)

    def emit(self, record: logging_.LogRecord) -> None:
        if record.threadName == "uploads":
            return
        try:
            self._text.add(self.format(record) + "\n")
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        self._uploads.close()
        super().close()


class TextLog:
    """Copies the log of this process to a file; a context manager. To an object store it comes in parts, path, path.1, path.2
    and so on, seconds later and with the end of the process. It ends with what went wrong: for an exception that is no `Ending`
    with its traceback, which the terminal gets from Python alone."""

    def __init__(self, path: epath.Path):
        self._path = path
        self._handler: logging_.Handler | None = None

    def __enter__(self) -> TextLog:
        shown = logging.get_absl_handler()
        local = "://" not in os.fspath(self._path)
        self._handler = _File(os.fspath(self._path), encoding="utf-8") if local else _Objects(self._path)
        self._handler.setFormatter(shown.formatter)
        for chosen in shown.filters:
            self._handler.addFilter(chosen)
        logging_.getLogger().addHandler(self._handler)
        return self

    def __exit__(self, kind, error, trace) -> None:
        logging_.getLogger().removeHandler(self._handler)
        if error:
            told = None if isinstance(error, Ending) else (kind, error, trace)
            words = ("ended with %s: %s", (kind.__name__, error))
            self._handler.handle(logging_.LogRecord("", logging_.ERROR, __file__, 0, *words, told, "__exit__"))
        with contextlib.suppress(OSError):
            self._handler.close()


def _part(path: epath.Path, number: int) -> epath.Path:
    return path.parent / f"{path.name}.{number}" if number else path
