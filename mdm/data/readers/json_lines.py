"""JSON lines, compressed or not: an object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from mdm.data.media import MOST_TEXT, Item, text_of, unreadable, version_of
from mdm.data.readers.compression import DAMAGED, find, opened
from mdm.data.readers.fields import FieldOptions, item_of
from mdm.data.readers.ranges import cut_lines, numbered
from mdm.data.readers.reader import Piece, Reader, broken_off
from mdm.problems import Problem, Refusal


def _pieces(name: str, path: Path, options: FieldOptions) -> Iterator[Piece]:
    files = find(path, ".jsonl")
    if not files:
        raise Refusal(Problem(str(path), None, "holds no .jsonl file", "check the path"))
    yield from (Piece((file,), version_of(path / file)) for file in files)


def _items(name: str, path: Path, options: FieldOptions, piece: Piece) -> Iterator[Item]:
    (own,) = piece.files
    file = path / own
    line = max(0, piece.first - 1)
    try:
        with opened(file) as stream:
            for line, raw in numbered(stream, piece, MOST_TEXT):
                if raw.strip():
                    yield _item(name, f"{own or path.name}:{line}", f"{file} line {line}", raw, file.parent, options)
    except DAMAGED as error:
        raise broken_off(f"{file} behind line {line}", error) from error


def _cut(path: Path, options: FieldOptions, piece: Piece) -> Iterator[Piece]:
    return cut_lines(path, piece)


def _item(name: str, number: str, where: str, raw: bytes, folder: Path, options: FieldOptions) -> Item:
    try:
        record = json.loads(text_of(raw, where))
        if not isinstance(record, dict):
            raise ValueError("not an object")
    except Refusal as refusal:
        return unreadable(f"{name}/{number}", refusal.problems[0], options.media)
    except (ValueError, RecursionError) as error:
        problem = Problem(where, None, f"is no JSON object ({error})", "mend or remove the line")
        return unreadable(f"{name}/{number}", problem, options.media)
    return item_of(name, number, where, record, folder, options)


JSON_LINES = Reader(FieldOptions, _pieces, _items, cut=_cut)
