"""Sources: media on disk, read piece by piece as streams of items.

A source has pieces in a stable order; a piece gives items in a stable order; an item knows its key, its concept (what must
not be split between training and held-out data) and how to open its media. A new kind of source is one entry of `SOURCES`.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from pathlib import Path

from mdm.data import samples
from mdm.data.admission import admit
from mdm.data.demo import books, emoji, glosses, prompts, stamps, synthesis
from mdm.data.manifest import SPLITS
from mdm.data.media import Item
from mdm.data.readers import arrays, columns, folders, json_lines, prose, speech, tables, tfds_folder, webdataset
from mdm.data.readers.reader import Options, Piece, Reader, whole
from mdm.problems import Problem
from mdm.tokens.hashing import text_key, uniform

SAMPLES = "samples://"  # the media that ship with the package
BY_CONCEPT = "by-concept"


@dataclasses.dataclass(frozen=True)
class SourceSettings:
    """kind: a name in `SOURCES`; path: a folder or file (`samples://...` for the package's own), or where packages are fetched
    to; stream: its documents'; options: of its kind, None for its defaults; side: "train" or "heldout" where its publisher has
    divided training from validation, else each concept is drawn."""

    kind: str
    path: str
    stream: str
    options: Options | None = None
    side: str = BY_CONCEPT

    @property
    def chosen(self) -> Options:
        """The options, given or default."""
        return SOURCES[self.kind].options() if self.options is None else self.options

    def problems(self, at: str) -> list[Problem]:
        if self.kind not in SOURCES:
            return [Problem(f"{at}.kind", self.kind, "unknown", f"use one of {tuple(SOURCES)}")]
        found = self.chosen.problems(at)
        if self.side not in (BY_CONCEPT, *SPLITS):
            found.append(Problem(f"{at}.side", self.side, "unknown", f"use one of {(BY_CONCEPT, *SPLITS)}"))
        if SOURCES[self.kind].local and not _resolve(self.path).exists():
            found.append(Problem(f"{at}.path", self.path, "does not exist", "check the path"))
        return found

    def split_of(self, concept: str, seed: int, share: float) -> str:
        """Where a concept lies; a drawn one lies there in every source, on every machine. share: of concepts held out."""
        if self.side != BY_CONCEPT:
            return self.side
        return SPLITS[int(uniform(seed, text_key(concept)) < share)]


def pieces(name: str, settings: SourceSettings) -> Iterator[Piece]:
    """The pieces of a source. Raises Refusal for a layout that cannot be read, Unavailable for packages that cannot be had."""
    yield from SOURCES[settings.kind].pieces(name, _resolve(settings.path), settings.chosen)


def cut(settings: SourceSettings, piece: Piece) -> Iterator[Piece]:
    """The same records in pieces that are encoded in a short while each, in their order."""
    yield from SOURCES[settings.kind].cut(_resolve(settings.path), settings.chosen, piece)


def items_of(name: str, settings: SourceSettings, piece: Piece) -> Iterator[Item]:
    """The items of a piece, fit to be used (`admission`); keys begin with `name`."""
    options = settings.chosen if settings.side == BY_CONCEPT else settings.chosen.undrawn()
    yield from map(admit, SOURCES[settings.kind].items(name, _resolve(settings.path), options, piece))


def items(name: str, settings: SourceSettings) -> Iterator[Item]:
    """The items of all pieces."""
    for piece in pieces(name, settings):
        yield from items_of(name, settings, piece)


def _resolve(path: str) -> Path:
    return samples.directory() / path.removeprefix(SAMPLES) if path.startswith(SAMPLES) else Path(path)


OWN_MEDIA: dict[str, Reader] = {
    "captioned-images": tables.CAPTIONED_IMAGES,
    "transcribed-speech": tables.TRANSCRIBED_SPEECH,
    "image-folder": folders.IMAGE_FOLDER,
    "prose": prose.PROSE,
    "json-lines": json_lines.JSON_LINES,
    "parquet": columns.PARQUET,
    "arrow": columns.ARROW,
    "webdataset": webdataset.WEBDATASET,
    "ljspeech": speech.LJSPEECH,
    "librispeech": speech.LIBRISPEECH,
    "tfds": tfds_folder.TFDS,
    "arrays": arrays.ARRAYS,
}
"""Kinds that read what is at their path."""

PACKAGED: dict[str, Reader] = {
    "emoji": whole(emoji.captioned),
    "emoji-de": whole(functools.partial(emoji.captioned, language="de")),
    "emoji-es": whole(functools.partial(emoji.captioned, language="es")),
    "emoji-fr": whole(functools.partial(emoji.captioned, language="fr")),
    "stamps": whole(stamps.captioned),
    "spoken-stamps": whole(stamps.spoken),
    "prompts": whole(prompts.spoken),
    "spoken-emoji": whole(synthesis.emoji_names),
    "spoken-examples": whole(synthesis.examples),
    "novels": whole(books.novels),
    "scripture": whole(books.scripture),
    "glosses": whole(glosses.prose),
}
"""Kinds that fetch packages into the folder at their path and read what these hold."""

SOURCES = OWN_MEDIA | PACKAGED
