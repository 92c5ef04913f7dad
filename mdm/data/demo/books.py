"""Books in the public domain as documents of a few sentences; the concept is a part of about a chapter."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from mdm.data.demo.catalogue import NOVELS, SCRIPTURE
from mdm.data.media import Item
from mdm.fingerprint import fingerprint
from mdm.problems import Problem, Refusal

PART = 12_000  # characters, about a chapter
# Characters, about a hundred tokens. Short documents let a small model find out early that neighbours matter: among 320
# positions each neighbour's share of an untrained attention is lost, among a hundred it is not.
PASSAGE = 300


def novels(name: str, folder: Path) -> Iterator[Item]:
    """Six novels of Jane Austen."""
    data = NOVELS.fetch(folder) / "usr" / "lib" / "R" / "site-library" / "janeaustenr" / "data" / "Rdata.rdb"
    text = "\n".join(text for text in _r_strings(data) if len(text) > 10 * PART)
    # Lines are wrapped; an empty one ends a paragraph.
    yield from documents(name, filter(None, (" ".join(own.split()) for own in re.split(r"\n\s*\n", text))))


def scripture(name: str, folder: Path) -> Iterator[Item]:
    """The World English Bible."""
    top = SCRIPTURE.fetch(folder) / "usr" / "share" / "sword" / "modules" / "texts" / "ztext" / "engWEB2015eb"
    yield from documents(name, [line for book in ("ot", "nt") for line in _sword(top / book)])


def documents(name: str, units: Iterable[str], least: int = PASSAGE) -> Iterator[Item]:
    """Documents of whole units (paragraphs, verses, entries), gathered until they have `least` characters.

    About PART characters that follow each other are one concept: neighbours stay on one side of a split.
    """
    passage: list[str] = []
    part = place = size = 0
    for unit in [*units, None]:
        if unit is not None:
            passage.append(unit)
        if passage and (unit is None or sum(map(len, passage)) >= least):
            own = "\n".join(passage)
            concept = f"{name}/{part:05d}"
            yield Item(f"{concept}/{place:03d}", concept, {"text": lambda t=own: t}, fingerprint(own))
            passage, place, size = [], place + 1, size + len(own)
            if size >= PART:
                part, place, size = part + 1, 0, 0


def _r_strings(file: Path) -> Iterator[str]:
    """Text of each object of an R lazy-load database: zlib streams behind a 4-byte length, in which a string is a tag, a
    length and its bytes. Only strings are looked for; nothing is evaluated."""
    data, place = file.read_bytes(), 0
    while place + 4 < len(data):
        stream = zlib.decompressobj()
        try:
            content = stream.decompress(data[place + 4 :])
        except zlib.error:
            place += 1
            continue
        found = []
        for match in re.finditer(rb"\x00[\x04\x00][\x00-\xff]\x09(....)", content, re.DOTALL):
            (size,) = struct.unpack(">i", match[1])
            if 0 <= size < 500:
                found.append(content[match.end() : match.end() + size].decode("utf-8", "replace"))
        yield "\n".join(found)
        place = len(data) - len(stream.unused_data)


def _sword(stem: Path) -> list[str]:
    """Lines of one testament of a SWORD module: zlib blocks, found through an index of (offset, size, size unpacked)."""
    index, blocks = stem.with_suffix(".bzs").read_bytes(), stem.with_suffix(".bzz").read_bytes()
    text = []
    for offset, size, _ in struct.iter_unpack("<III", index):
        try:
            block = zlib.decompress(blocks[offset : offset + size]).decode("utf-8", "replace")
        except zlib.error as error:
            raise Refusal(Problem(str(stem), offset, f"cannot be unpacked ({error})", "delete its folder")) from error
        block = re.sub(r"<note.*?</note>|<title.*?</title>", "", block, flags=re.DOTALL)
        block = re.sub(r"<(div|l|lb|chapter|p|milestone)\b[^>]*>", "\n", block)
        block = re.sub(r"<[^>]+>", " ", block)  # words stand between tags, so punctuation has to be drawn near again
        lines = (re.sub(r"\s+([,.;:!?’”)])|([“‘(])\s+", r"\1\2", " ".join(line.split())) for line in block.splitlines())  # noqa: RUF001
        text += [line for line in lines if line]
    return text
