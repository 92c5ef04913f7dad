"""Files that appear in one step: a reader, or a process that starts after a kill, sees the old one or the new one.

On a disk by moving them into place, once their bytes are on it: a name that outlived its content would be an empty file after a
loss of power. An object store has nothing to move and needs nothing: an object is there when its last byte is.
"""

from __future__ import annotations

import contextlib
import errno
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

AnyPath = TypeVar("AnyPath", bound=Path)
# File systems that do not know it, for folders above all, and what may be written but not opened.
_NO_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EACCES)


@contextlib.contextmanager
def replacing(path: AnyPath, *, shared: bool = False, lasting: bool = True) -> Iterator[AnyPath]:
    """Gives a path beside `path` to write to, and moves it into place when the block ends without an exception; `path` itself
    where that is an object of a store, to be opened and closed once.

    shared: several processes may do so at once, each through a file of its own. Otherwise the name is fixed, so that what a
    killed process left is written over.
    lasting: not for what is written again and again, and may be empty after a loss of power: a disk takes 5 to 20 ms to be sure
    """
    if "://" in os.fspath(path):
        yield path
        return
    own = f".{uuid.uuid4().hex}" if shared else ""
    temporary = path.parent / f"{path.name}{own}.tmp"
    try:
        yield temporary
        if lasting:
            _sync(temporary)
    except BaseException as error:
        if isinstance(error, OSError) and error.errno and error.filename is None:  # of a write it is not said to what
            error.filename = os.fspath(path)
        temporary.unlink(missing_ok=True)
        raise
    temporary.replace(path)
    if lasting:
        _sync(path.parent)


def write_text(path: Path, text: str, *, shared: bool = False, lasting: bool = True) -> None:
    """Writes `text` to `path` as UTF-8; the rest as `replacing`."""
    with replacing(path, shared=shared, lasting=lasting) as temporary:
        temporary.write_text(text, encoding="utf-8")


def create(path: Path, text: str) -> None:
    """Writes `text` to a new file. Raises FileExistsError if there is one: of several that try, one succeeds. Where the write
    fails, none is left."""
    if "://" not in os.fspath(path):
        content = text.encode()
        with open(path, "xb", buffering=0) as file:
            try:
                if file.write(content) < len(content):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), os.fspath(path))
                os.fsync(file.fileno())
            except BaseException:
                path.unlink(missing_ok=True)
                raise
        _sync(path.parent)
        return
    import fsspec  # only where there is a store: it is asked for this in the same request

    store, place = fsspec.url_to_fs(os.fspath(path))
    store.pipe_file(place, text.encode(), mode="create")


def _sync(path: Path) -> None:
    """Returns when a file, or what a folder says of its files, is on the disk."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
