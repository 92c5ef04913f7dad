"""Tab-separated tables of files and what belongs to them: captioned pictures, transcribed speech."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

from mdm.codecs.codec import Media
from mdm.data.media import Item, read_image, read_sound, size_of
from mdm.data.readers.reader import Options, Piece, Reader, chunks
from mdm.fingerprint import fingerprint
from mdm.problems import Problem, Refusal


@dataclasses.dataclass(frozen=True)
class TableOptions(Options):
    """split_by: the column whose equal values stay on one side of the split; where a row has none it is the text."""

    split_by: str = "concept"


@dataclasses.dataclass(frozen=True)
class _Row:
    """A row of a table. line: counted from 1, the header; offset: of its first byte."""

    line: int
    offset: int
    fields: dict[str, str]


def paired(modality: str, column: str, read: Callable[[Path], Media]) -> Reader:
    """A reader of a table with columns file, `column` (the text) and any others; a folder holds exactly one such table."""

    def pieces(name: str, path: Path, options: TableOptions) -> Iterator[Piece]:
        table = _only_table(path)
        listed = ((row, _item(name, table, row, options)) for row in _rows(table, column))
        for _, part in chunks(listed):
            version = fingerprint([item.identity for _, item in part])
            yield Piece((table.name,), version, part[0][0].line, part[0][0].line + len(part), part[0][0].offset)

    def items(name: str, path: Path, options: TableOptions, piece: Piece) -> Iterator[Item]:
        table = _only_table(path)
        rows = _rows(table, column, piece.first, piece.offset)
        for _, row in zip(range(piece.first, piece.stop), rows, strict=False):
            yield _item(name, table, row, options)

    def _item(name: str, table: Path, row: _Row, options: TableOptions) -> Item:
        file, text, where = row.fields["file"], row.fields[column], f"{table} line {row.line}"
        if not file or not text.strip():
            raise Refusal(Problem(where, row.fields, "a field is empty", "fill it in, or remove the line"))
        target = (table.parent / file).resolve()
        if not target.is_relative_to(table.parent.resolve()):
            raise Refusal(Problem(where, file, "lies outside the table's folder", "use paths below the table"))
        if options.split_by not in row.fields and options.split_by != "concept":
            raise Refusal(Problem(str(table), list(row.fields), f"has no column {options.split_by}", "see split_by"))
        concept = (row.fields[options.split_by] if options.split_by in row.fields else "") or text
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


def _rows(table: Path, column: str, line: int = 2, offset: int = 0) -> Iterator[_Row]:
    """Rows from `line` on, which begins at byte `offset` (0: right behind the header); empty lines are passed over."""
    with table.open("rb") as file:
        names = _fields(table, 1, file.readline())
        missing = [wanted for wanted in ("file", column) if wanted not in names]
        if missing:
            raise Refusal(Problem(str(table), names, f"has no column {missing}", f"name its columns file and {column}"))
        file.seek(offset or file.tell())
        while True:
            begin, raw = file.tell(), file.readline()
            if not raw:
                return
            if raw.strip(b"\r\n"):
                fields = _fields(table, line, raw)
                yield _Row(line, begin, dict.fromkeys(names, "") | dict(zip(names, fields, strict=False)))
            line += 1


def _fields(table: Path, line: int, raw: bytes) -> list[str]:
    try:
        return raw.decode("utf-8-sig" if line == 1 else "utf-8").rstrip("\r\n").split("\t")
    except UnicodeDecodeError as error:
        remedy = "convert the table to UTF-8"
        raise Refusal(Problem(f"{table} line {line}", None, f"is not UTF-8 ({error})", remedy)) from error


CAPTIONED_IMAGES = paired("image", "caption", read_image)
TRANSCRIBED_SPEECH = paired("audio", "transcript", read_sound)
