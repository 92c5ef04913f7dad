"""Rows of a table in a text file, streamed with their places, so that a piece of it can be found again."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from mdm.data.media import MOST_TEXT
from mdm.data.readers.compression import lines
from mdm.problems import Problem, Refusal


@dataclasses.dataclass(frozen=True)
class Row:
    """number: of its line, from 1; offset: of its first byte; content: its bytes, undecoded, since a bad row is no bad table."""

    number: int
    offset: int
    content: bytes


def rows(file: Path, first: int = 1, offset: int = 0) -> Iterator[Row]:
    """Rows from the line `first` on, which begins at byte `offset`; empty lines are passed over. Lines end at newlines alone.

    Raises Refusal for a file that cannot be read.
    """
    try:
        with file.open("rb") as opened:
            opened.seek(offset)
            for number, content in enumerate(lines(opened, MOST_TEXT), first):
                if content.strip(b"\r\n"):
                    yield Row(number, offset, content)
                offset = opened.tell()
    except OSError as error:
        raise Refusal(Problem(str(file), None, f"cannot be read ({error})", "check the path")) from error
