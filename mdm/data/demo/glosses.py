"""Definitions and example sentences of WordNet."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from mdm.data.demo import books
from mdm.data.demo.catalogue import WORDNET
from mdm.data.media import Item
from mdm.tokens.hashing import mix, text_key

_FILES = ("data.noun", "data.verb", "data.adj", "data.adv")
_SHORT = (20, 45)  # letters of an example that is spoken: one to three seconds


def prose(name: str, folder: Path) -> Iterator[Item]:
    """Documents of the form "word: definition"."""
    yield from books.documents(name, (f"{word}: {gloss}" for word, gloss in _entries(folder)), least=1)


def examples(folder: Path) -> list[str]:
    """Short example sentences, in an order that is shuffled and fixed."""
    found = {
        text
        for _, gloss in _entries(folder)
        for text in re.findall(r'"([a-zA-Z][^"]*)"', gloss)
        if _SHORT[0] <= len(text) <= _SHORT[1]
    }
    return sorted(found, key=lambda text: (int(mix(0, text_key(text))), text))


def _entries(folder: Path) -> Iterator[tuple[str, str]]:
    top = WORDNET.fetch(folder) / "package" / "dict"
    for file in _FILES:
        for line in (top / file).read_text(encoding="utf-8", errors="replace").splitlines():
            fields, mark, gloss = line.partition(" | ")
            if mark and not line.startswith("  "):  # the licence stands in indented lines
                yield fields.split(" ")[4].replace("_", " "), gloss.strip()
