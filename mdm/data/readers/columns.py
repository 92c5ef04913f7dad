"""Parquet and Arrow tables, read in batches of a few rows."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mdm.data.media import Item, unreadable, version_of
from mdm.data.readers.arrow import library
from mdm.data.readers.fields import FieldOptions, item_of
from mdm.data.readers.ranges import CUT
from mdm.data.readers.reader import CHUNK, Piece, Reader, broken_off
from mdm.problems import Problem, Refusal

BATCH = 256  # rows that are decoded at once
_MEND = "mend or remove the file"


def _files(path: Path, endings: tuple[str, ...]) -> list[str]:
    if path.is_file():
        return [""]
    files = sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.suffix in endings)
    if not files:
        raise Refusal(Problem(str(path), None, f"holds no {' or '.join(endings)} file", "check the path"))
    return files


def _parquet_pieces(name: str, path: Path, options: FieldOptions) -> Iterator[Piece]:
    """Runs of row groups with at least CHUNK rows together."""
    parquet = library("pyarrow.parquet")
    for file in _files(path, (".parquet",)):
        version = version_of(path / file)
        try:
            with parquet.ParquetFile(path / file) as opened:
                rows = [opened.metadata.row_group(i).num_rows for i in range(opened.metadata.num_row_groups)]
                _check(path / file, opened.schema_arrow.names, options)
        except _damaged() as error:
            raise Refusal(Problem(str(path / file), None, f"is no Parquet file ({error})", _MEND)) from error
        first = group = 0
        while group < len(rows):
            last, count = group, 0
            while last < len(rows) and count < CHUNK:
                count += rows[last]
                last += 1
            yield Piece((file,), version, first, first + count, group)
            first, group = first + count, last


def _parquet_batches(file: Path, piece: Piece, options: FieldOptions) -> Iterator[Any]:
    with library("pyarrow.parquet").ParquetFile(file) as opened:
        row, groups = piece.first, []
        for group in range(piece.offset, opened.metadata.num_row_groups):
            if row >= piece.stop:
                break
            groups.append(group)
            row += opened.metadata.row_group(group).num_rows
        yield from opened.iter_batches(BATCH, row_groups=groups, columns=options.fields, use_threads=False)


def _arrow_pieces(name: str, path: Path, options: FieldOptions) -> Iterator[Piece]:
    for file in _files(path, (".arrow", ".feather")):
        try:
            with _arrow(path / file) as opened:
                _check(path / file, opened.schema.names, options)
        except _damaged() as error:
            raise Refusal(Problem(str(path / file), None, f"is no Arrow file ({error})", _MEND)) from error
        yield Piece((file,), version_of(path / file))


def _arrow_batches(file: Path, piece: Piece, options: FieldOptions) -> Iterator[Any]:
    with _arrow(file) as opened:
        row = piece.first
        for batch in _arrow_own(opened, piece.offset):
            if 0 <= piece.stop <= row:
                break
            row += batch.num_rows
            yield from (batch.slice(at, BATCH).select(options.fields) for at in range(0, batch.num_rows, BATCH))


def _arrow_own(opened: Any, first: int) -> Iterator[Any]:
    """Batches from `first` on. Those of a stream are passed over, which costs little where they are mapped."""
    if hasattr(opened, "num_record_batches"):
        return map(opened.get_batch, range(first, opened.num_record_batches))
    return itertools.islice(opened, first, None)


def _arrow_cut(path: Path, options: FieldOptions, piece: Piece) -> Iterator[Piece]:
    """Runs of batches of some CUT bytes together. What cannot be read any further is left to who reads it."""
    (own,) = piece.files
    first = row = offset = size = 0
    try:
        with _arrow(path / own) as opened:
            for number, batch in enumerate(_arrow_own(opened, 0)):
                if size >= CUT:
                    yield dataclasses.replace(piece, first=first, stop=row, offset=offset)
                    first, offset, size = row, number, 0
                row, size = row + batch.num_rows, size + batch.nbytes
    except _damaged():
        pass
    yield dataclasses.replace(piece, first=first, offset=offset)


def _arrow(file: Path) -> Any:
    """An IPC file, or the IPC stream that `datasets` writes. Mapped: a batch costs memory only where it is read."""
    arrow, ipc = library("pyarrow"), library("pyarrow.ipc")
    try:
        return ipc.open_file(arrow.memory_map(str(file)))
    except arrow.ArrowInvalid:
        return ipc.open_stream(arrow.memory_map(str(file)))


def _check(file: Path, names: list[str], options: FieldOptions) -> None:
    missing = [field for field in options.fields if field not in names]
    if missing:
        raise Refusal(Problem(str(file), names, f"has no column {missing}", "name its columns in the options"))


def _widths(schema: Any, options: FieldOptions) -> np.dtype | None:
    """Of samples that are whole numbers in a struct of the column `audio`: as lists of Python's integers they have none."""
    types = library("pyarrow").types
    kind = schema.field(options.audio).type if options.audio else None
    if kind is None or not types.is_struct(kind) or kind.get_field_index("array") < 0:
        return None
    kind = kind.field("array").type
    while types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        kind = kind.value_type
    return np.dtype(str(kind)) if types.is_integer(kind) else None


def _records(batch: Any, options: FieldOptions) -> Iterator[dict[str, Any] | Exception]:
    """Its rows, each a record or, alone among its neighbours, what was raised when it was decoded."""
    width = _widths(batch.schema, options)

    def decoded(rows: Any) -> list[dict[str, Any]]:
        records = rows.to_pylist()
        for sound in (record[options.audio] for record in records if width is not None):
            if sound and sound["array"] is not None:
                sound["array"] = np.asarray(sound["array"], width)
        return records

    damaged = _damaged()
    try:
        yield from decoded(batch)
    except damaged:
        for row in range(batch.num_rows):
            try:
                yield from decoded(batch.slice(row, 1))
            except damaged as error:
                yield error


def _damaged() -> tuple[type[Exception], ...]:
    """What pyarrow raises, at opening, reading or decoding, for what is damaged or of a type that it cannot turn into Python."""
    return OSError, ValueError, TypeError, KeyError, OverflowError, library("pyarrow").ArrowException


def _reader(pieces: Callable, batches: Callable, **more: Callable) -> Reader:
    def rows(file: Path, piece: Piece, options: FieldOptions) -> Iterator[tuple[int, dict[str, Any] | Exception]]:
        row = piece.first  # of the batch
        try:
            for batch in batches(file, piece, options):
                yield from enumerate(_records(batch, options), row)
                row += batch.num_rows
        except _damaged() as error:
            raise broken_off(f"{file} from row {row}", error) from error

    def items(name: str, path: Path, options: FieldOptions, piece: Piece) -> Iterator[Item]:
        (own,) = piece.files
        file = path / own
        for row, record in rows(file, piece, options):
            number, where = f"{own or path.name}:{row}", f"{file} row {row}"
            if isinstance(record, Exception):
                problem = Problem(where, None, f"cannot be decoded ({record})", "mend or remove the row")
                yield unreadable(f"{name}/{number}", problem, options.media)
            else:
                yield item_of(name, number, where, record, file.parent, options)

    return Reader(FieldOptions, pieces, items, **more)


PARQUET = _reader(_parquet_pieces, _parquet_batches)
ARROW = _reader(_arrow_pieces, _arrow_batches, cut=_arrow_cut)
