"""Plain text: .txt files, compressed or not; a document is a file, a paragraph or a line."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from mdm.data.media import MOST_TEXT, Item, document_text, size_of, version_of
from mdm.data.readers.compression import DAMAGED, find, opened
from mdm.data.readers.ranges import cut_lines, numbered
from mdm.data.readers.reader import Options, Piece, Reader, broken_off, chunks
from mdm.fingerprint import fingerprint
from mdm.problems import Problem, Refusal

DOCUMENTS = ("file", "paragraph", "line")
SPLITS_BY = ("file", "document")


@dataclasses.dataclass(frozen=True)
class ProseOptions(Options):
    """document: what one is, a "file", a "paragraph" (empty lines stand between) or a "line"; split_by: what stays on one side
    of the split, a "file" or a "document"."""

    document: str = "file"
    split_by: str = "file"

    def problems(self, at: str) -> list[Problem]:
        found = super().problems(at)
        if self.document not in DOCUMENTS:
            found.append(Problem(f"{at}.document", self.document, "unknown", f"use one of {DOCUMENTS}"))
        if self.split_by not in SPLITS_BY:
            found.append(Problem(f"{at}.split_by", self.split_by, "unknown", f"use one of {SPLITS_BY}"))
        return found

    def undrawn(self) -> ProseOptions:
        """Each document is its own concept: a published file often is all of its side, and one concept has no error."""
        return dataclasses.replace(self, split_by="document")

    @property
    def finer(self) -> str:
        if self.document == "file":
            return 'document="paragraph" or "line", with split_by="document"'
        return 'split_by="document"' if self.split_by == "file" else ""


def _pieces(name: str, path: Path, options: ProseOptions) -> Iterator[Piece]:
    files = find(path, ".txt")
    if not files:
        raise Refusal(Problem(str(path), None, "holds no .txt file", "check the path"))
    if options.document == "file":
        for first, part in chunks(files):
            version = fingerprint([[file, size_of(path / file)] for file in part])
            yield Piece(tuple(part), version, first, first + len(part))
    else:
        yield from (Piece((file,), version_of(path / file)) for file in files)


def _items(name: str, path: Path, options: ProseOptions, piece: Piece) -> Iterator[Item]:
    for file in piece.files:
        key = f"{name}/{file or path.name}"
        if options.document == "file":
            place = path / file
            yield Item(key, key, {"text": lambda p=place: _read(p)}, str(size_of(place)))
        else:
            yield from _parts(key, path / file, options, piece)


def _cut(path: Path, options: ProseOptions, piece: Piece) -> Iterator[Piece]:
    """By lines alone: where a paragraph begins tells nothing but what stands before it."""
    return cut_lines(path, piece) if options.document == "line" else iter((piece,))


def _read(path: Path) -> str:
    try:
        with opened(path) as file:
            return document_text(file.read(MOST_TEXT + 1), str(path), alone=True)
    except DAMAGED as error:
        raise Refusal(Problem(str(path), None, f"cannot be read ({error})", "mend or remove it")) from error


def _parts(key: str, path: Path, options: ProseOptions, piece: Piece) -> Iterator[Item]:
    line = piece.first or 1
    try:
        with opened(path) as file:
            for line, raw in _blocks(numbered(file, piece, MOST_TEXT), options.document == "line"):
                own, where = f"{key}:{line}", f"{path} line {line}"
                concept = key if options.split_by == "file" else own
                version = hashlib.blake2b(raw, digest_size=8).hexdigest()
                yield Item(
                    own, concept, {"text": lambda r=raw, w=where: document_text(r, w, alone=True)}, version, len(raw)
                )
    except DAMAGED as error:
        raise broken_off(f"{path} behind line {line}", error) from error


def _blocks(numbered_: Iterable[tuple[int, bytes]], lines: bool) -> Iterator[tuple[int, bytes]]:
    """(number of its first line, bytes) of each line, or of each run of lines between empty ones."""
    block, first, size = [], 1, 0
    for number, raw in numbered_:
        blank = not raw.decode("utf-8-sig", "replace").strip()  # of any kind: pages have lines of no-break spaces
        if not blank:
            first = first if block else number
            block.append(raw)
            size += len(raw)
        if block and (lines or blank or size > MOST_TEXT):
            yield first, b"".join(block).strip(b"\r\n")
            block, size = [], 0
    if block:
        yield first, b"".join(block).strip(b"\r\n")


PROSE = Reader(ProseOptions, _pieces, _items, cut=_cut)
