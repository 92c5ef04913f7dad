"""Sources: media on disk, listed cheaply and decoded one item at a time.

A source lists its items in a stable order; an item knows its key, its concept (what must not be split between training and
held-out data) and how to open its media. A new kind of source is one function in `SOURCES`.
"""

from __future__ import annotations

import csv
import dataclasses
import functools
import io
from collections.abc import Callable, Iterator
from pathlib import Path

from mdm.data import samples
from mdm.data.demo import books, emoji, glosses, prompts, stamps, synthesis
from mdm.data.media import Item, read_image, read_sound, read_text, size_of
from mdm.problems import Problem, Refusal

SAMPLES = "samples://"  # the media that ship with the package


@dataclasses.dataclass(frozen=True)
class SourceSettings:
    """kind: a name in `SOURCES`; path: a folder or table (`samples://...` for the package's own), or where packages are fetched
    to; stream: its documents'."""

    kind: str
    path: str
    stream: str

    def problems(self, at: str) -> list[Problem]:
        found = []
        if self.kind not in SOURCES:
            found.append(Problem(f"{at}.kind", self.kind, "unknown", f"use one of {tuple(SOURCES)}"))
        elif self.kind in OWN_MEDIA and not _resolve(self.path).exists():
            found.append(Problem(f"{at}.path", self.path, "does not exist", "check the path"))
        return found


def items(name: str, settings: SourceSettings) -> Iterator[Item]:
    """The items of a source; keys begin with `name`. Raises Refusal for a table that cannot be read, Unavailable for packages
    that cannot be had."""
    yield from SOURCES[settings.kind](name, _resolve(settings.path))


def _resolve(path: str) -> Path:
    return samples.directory() / path.removeprefix(SAMPLES) if path.startswith(SAMPLES) else Path(path)


def _table(name: str, path: Path, columns: tuple[str, str]) -> Iterator[tuple[str, Path, str, str]]:
    """(key, file, text, concept) of each row of a tab-separated table with a header."""
    table = path if path.is_file() else _only_table(path)
    rows = csv.DictReader(io.StringIO(read_text(table)), delimiter="\t", quoting=csv.QUOTE_NONE)
    missing = [column for column in columns if column not in (rows.fieldnames or ())]
    if missing:
        raise Refusal(Problem(str(table), rows.fieldnames, f"has no column {missing}", f"name its columns {columns}"))
    for row in rows:
        file, text = row[columns[0]], row[columns[1]]
        where = f"{table} line {rows.line_num}"
        if not file or not text or not text.strip():
            raise Refusal(Problem(where, dict(row), "a field is empty", "fill it in, or remove the line"))
        target = (table.parent / file).resolve()
        if not target.is_relative_to(table.parent.resolve()):
            raise Refusal(Problem(where, file, "lies outside the table's folder", "use paths below the table"))
        concept = row["concept"] if row.get("concept") else text
        yield f"{name}/{file}", target, text, concept


def _only_table(folder: Path) -> Path:
    tables = sorted(folder.glob("*.tsv"))
    if len(tables) != 1:
        raise Refusal(
            Problem(
                str(folder), [t.name for t in tables], "does not hold exactly one .tsv table", "name the table itself"
            )
        )
    return tables[0]


def _captioned_images(name: str, path: Path) -> Iterator[Item]:
    """A table with columns file, caption and, if there is one, concept."""
    for key, file, caption, concept in _table(name, path, ("file", "caption")):
        media = {"text": lambda t=caption: t, "image": lambda f=file: read_image(f)}
        yield Item(key, concept, media, f"{caption} {size_of(file)}")


def _transcribed_speech(name: str, path: Path) -> Iterator[Item]:
    """A table with columns file, transcript and, if there is one, concept."""
    for key, file, transcript, concept in _table(name, path, ("file", "transcript")):
        media = {"text": lambda t=transcript: t, "audio": lambda f=file: read_sound(f)}
        yield Item(key, concept, media, f"{transcript} {size_of(file)}")


def _prose(name: str, path: Path) -> Iterator[Item]:
    """A folder of .txt files, one document each; the concept is the file."""
    files = sorted(path.rglob("*.txt"))
    if not files:
        raise Refusal(Problem(str(path), None, "holds no .txt file", "check the path"))
    for file in files:
        key = f"{name}/{file.relative_to(path).as_posix()}"
        yield Item(key, key, {"text": lambda f=file: read_text(f)}, str(size_of(file)))


OWN_MEDIA: dict[str, Callable[[str, Path], Iterator[Item]]] = {
    "captioned-images": _captioned_images,
    "transcribed-speech": _transcribed_speech,
    "prose": _prose,
}
"""Kinds that read what is at their path."""

PACKAGED: dict[str, Callable[[str, Path], Iterator[Item]]] = {
    "emoji": emoji.captioned,
    "emoji-de": functools.partial(emoji.captioned, language="de"),
    "emoji-es": functools.partial(emoji.captioned, language="es"),
    "emoji-fr": functools.partial(emoji.captioned, language="fr"),
    "stamps": stamps.captioned,
    "spoken-stamps": stamps.spoken,
    "prompts": prompts.spoken,
    "spoken-emoji": synthesis.emoji_names,
    "spoken-examples": synthesis.examples,
    "novels": books.novels,
    "scripture": books.scripture,
    "glosses": glosses.prose,
}
"""Kinds that fetch packages into the folder at their path and read what these hold."""

SOURCES = OWN_MEDIA | PACKAGED
