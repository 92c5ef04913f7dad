"""Ranges of a large file of lines, so that several workers share it and a kill loses none of it but a range."""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from mdm.data.readers.compression import is_compressed, lines
from mdm.data.readers.reader import Piece

CUT = 1 << 26  # bytes of a range
_BLOCK = 1 << 20


def cut_lines(path: Path, piece: Piece) -> Iterator[Piece]:
    """The piece of one file in pieces of some CUT bytes, which end with lines. A compressed file, which has no places that a
    reader can begin at, stays whole, as does what cannot be read any further: who reads it tells why."""
    (own,) = piece.files
    file, first, offset = path / own, 1, 0
    try:
        with file.open("rb") as opened:
            size = os.fstat(opened.fileno()).st_size
            while not is_compressed(file) and size - offset > CUT:
                stop = first + _passed(opened)
                if opened.tell() >= size:
                    break
                yield dataclasses.replace(piece, first=first, stop=stop, offset=offset)
                first, offset = stop, opened.tell()
    except OSError:
        pass
    yield dataclasses.replace(piece, first=first, offset=offset) if offset else piece


def _passed(file: BinaryIO) -> int:
    """How many lines end within the next CUT bytes and the rest of the line that stands behind them; the file is then there."""
    count, left = 0, CUT
    while left and (block := file.read(min(left, _BLOCK))):
        count, left = count + block.count(b"\n"), left - len(block)
    while (rest := file.readline(_BLOCK)) and not rest.endswith(b"\n"):
        pass
    return count + rest.endswith(b"\n")


def numbered(file: BinaryIO, piece: Piece, most: int) -> Iterator[tuple[int, bytes]]:
    """(number in its file, line) of the lines of a piece, as `lines` gives them."""
    first = piece.first or 1
    if piece.offset:
        file.seek(piece.offset)
    count = None if piece.stop < 0 else piece.stop - first
    return enumerate(itertools.islice(lines(file, most), count), first)
