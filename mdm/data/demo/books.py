"""Books in the public domain, cut into parts: the concept is the part."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from mdm.data.demo.catalogue import NOVELS, SCRIPTURE
from mdm.data.media import Item
from mdm.fingerprint import fingerprint
from mdm.problems import Problem, Refusal

PART = 12_000  # characters, about a chapter


def novels(name: str, folder: Path) -> Iterator[Item]:
    """Six novels of Jane Austen."""
    data = NOVELS.fetch(folder) / "usr" / "lib" / "R" / "site-library" / "janeaustenr" / "data" / "Rdata.rdb"
    yield from parts(name, "\n".join(text for text in _r_strings(data) if len(text) > 10 * PART))


def scripture(name: str, folder: Path) -> Iterator[Item]:
    """The World English Bible."""
    top = SCRIPTURE.fetch(folder) / "usr" / "share" / "sword" / "modules" / "texts" / "ztext" / "engWEB2015eb"
    yield from parts(name, "\n".join(_sword(top / book) for book in ("ot", "nt")))


def parts(name: str, text: str) -> Iterator[Item]:
    """A text as documents of about PART characters that end where a line does."""
    part: list[str] = []
    number = size = 0
    for line in [*text.splitlines(), None]:
        if line is None or size >= PART:
            own = "\n".join(part).strip()
            if own:
                key = f"{name}/{number:05d}"
                yield Item(key, key, {"text": lambda t=own: t}, fingerprint(own))
            part, size, number = [], 0, number + 1
        if line is not None:
            part.append(line)
            size += len(line) + 1


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


def _sword(stem: Path) -> str:
    """Text of one testament of a SWORD module: zlib blocks, found through an index of (offset, size, size unpacked)."""
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
    return "\n".join(text)
