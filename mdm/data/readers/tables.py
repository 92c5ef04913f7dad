"""Tab-separated tables of files and what belongs to them: captioned pictures, transcribed speech."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

from mdm.codecs.codec import Media
from mdm.data.media import Item, below, document_text, read_image, read_sound, size_of, text_of, unreadable
from mdm.data.readers.reader import Options, Piece, Reader, chunks
from mdm.data.readers.rows import Row, rows
from mdm.fingerprint import fingerprint
from mdm.problems import Problem, Refusal


@dataclasses.dataclass(frozen=True)
class TableOptions(Options):
    """split_by: the column whose equal values stay on one side of the split; where a row has none it is the text."""

    split_by: str = "concept"

    @property
    def finer(self) -> str:
        return "split_by=COLUMN, of a column whose values differ"


def paired(modality: str, column: str, read: Callable[[Path], Media]) -> Reader:
    """A reader of a table with columns file, `column` (the text) and any others; a folder holds exactly one such table."""

    def pieces(name: str, path: Path, options: TableOptions) -> Iterator[Piece]:
        table = _only_table(path)
        names, listed = _header(table, column, options), itertools.islice(rows(table), 1, None)
        listed = ((row, _item(name, table, names, row, options)) for row in listed)
        for _, part in chunks(listed):
            version = fingerprint([item.identity for _, item in part])
            first = part[0][0]
            yield Piece((table.name,), version, first.number, first.number + len(part), first.offset)

    def items(name: str, path: Path, options: TableOptions, piece: Piece) -> Iterator[Item]:
        table = _only_table(path)
        names = _header(table, column, options)
        for row in itertools.islice(rows(table, piece.first, piece.offset), piece.stop - piece.first):
            yield _item(name, table, names, row, options)

    def _item(name: str, table: Path, names: list[str], row: Row, options: TableOptions) -> Item:
        where = f"{table} line {row.number}"
        try:
            own = _fields(row, where)
            if len(own) > len(names):  # a tab within a text, whose end would be lost
                reason, remedy = (
                    f"has {len(own)} fields for {len(names)} columns",
                    "take the tab out, or remove the line",
                )
                raise Refusal(Problem(where, own, reason, remedy))
            fields = dict.fromkeys(names, "") | dict(zip(names, own, strict=False))
            if not (file := fields["file"]):
                raise Refusal(Problem(where, fields, "names no file", "fill it in, or remove the line"))
            text = document_text(fields[column], f"{where} {column}", alone=False)
            target = below(table.parent, file, where)
        except Refusal as refusal:
            return unreadable(f"{name}/{table.name}:{row.number}", refusal.problems[0], ("text", modality))
        concept = (fields[options.split_by] if options.split_by in fields else "") or text
        media = {"text": lambda: text, modality: lambda: read(target)}
        return Item(f"{name}/{file}", concept, media, f"{text} {size_of(target)}")

    return Reader(TableOptions, pieces, items)


def _only_table(path: Path) -> Path:
    if path.is_file():
        return path
    tables = sorted(path.glob("*.tsv"))
    if len(tables) != 1:
        found = [table.name for table in tables]
        raise Refusal(Problem(str(path), found, "does not hold exactly one .tsv table", "name the table itself"))
    return tables[0]


def _header(table: Path, column: str, options: TableOptions) -> list[str]:
    """Names of the columns."""
    names = _fields(next(rows(table), Row(1, 0, b"")), f"{table} line 1")
    missing = [wanted for wanted in ("file", column) if wanted not in names]
    if missing:
        raise Refusal(Problem(str(table), names, f"has no column {missing}", f"name its columns file and {column}"))
    if options.split_by not in names and options.split_by != "concept":
        raise Refusal(Problem(str(table), names, f"has no column {options.split_by}", "see split_by"))
    return names


def _fields(row: Row, where: str) -> list[str]:
    return text_of(row.content, where).rstrip("\n").split("\t")


CAPTIONED_IMAGES = paired("image", "caption", read_image)
TRANSCRIBED_SPEECH = paired("audio", "transcript", read_sound)
