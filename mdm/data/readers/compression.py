"""Files that may be compressed, opened as streams of bytes."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from mdm.data.readers import arrow

ENDINGS = ("", ".gz", ".zst", ".xz", ".bz2")


def _zstd(path: Path) -> BinaryIO:
    return io.BufferedReader(_Readable(arrow.library("pyarrow").CompressedInputStream(str(path), "zstd")))


class _Readable(io.RawIOBase):
    """Arrow's streams lack readinto into a caller's buffer of the size that BufferedReader wants."""

    def __init__(self, stream):
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        part = self._stream.read(len(buffer))
        buffer[: len(part)] = part
        return len(part)

    def close(self) -> None:
        self._stream.close()
        super().close()


_OPENERS: dict[str, Callable[[Path], BinaryIO]] = {
    ".gz": gzip.open,
    ".xz": lzma.open,
    ".bz2": bz2.open,
    ".zst": _zstd,
}

DAMAGED = (OSError, EOFError, zlib.error, lzma.LZMAError)
"""What reading a damaged stream raises; Arrow's errors are OSErrors."""


def is_compressed(path: Path) -> bool:
    return path.suffix in _OPENERS


@contextlib.contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The content of a file, unpacked as it is read. Raises what is in `DAMAGED`, sooner or later, for a damaged one."""
    with (_OPENERS[path.suffix] if is_compressed(path) else io.FileIO)(path) as file:
        yield io.BufferedReader(file) if isinstance(file, io.FileIO) else file


def lines(file: BinaryIO, most: int) -> Iterator[bytes]:
    """Lines with their ends; of one that is longer than `most` bytes only the first `most + 1`."""
    while raw := file.readline(most + 1):
        rest = raw
        while len(rest) > most and not rest.endswith(b"\n"):
            rest = file.readline(most + 1)
        yield raw


def find(path: Path, ending: str) -> list[str]:
    """Files at or below `path` that end so, compressed or not, relative to it, in a stable order."""
    if path.is_file():
        return [""]
    endings = tuple(ending + more for more in ENDINGS)
    return sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.name.endswith(endings))
