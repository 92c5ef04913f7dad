"""Sources: media on disk, listed cheaply and decoded one item at a time.

A source lists its items in a stable order; an item knows its key, its concept (what must not be split between training and
held-out data) and how to open its media. A new kind of source is one function in `SOURCES`.
"""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image

from mdm.codecs.codec import Media, Sound
from mdm.data import samples
from mdm.problems import Problem, Refusal

SAMPLES = "samples://"  # the media that ship with the package
MOST_PIXELS = 64_000_000
MOST_SECONDS = 600


@dataclasses.dataclass(frozen=True)
class Item:
    """One document to be.

    media:   modality -> function that reads it; raises Refusal naming the file
    version: changes when the media do, as far as that shows without reading them: texts of tables, sizes of files
    """

    key: str
    concept: str
    media: Mapping[str, Callable[[], Media]]
    version: str

    @property
    def identity(self) -> tuple[str, str, str]:
        """What a second preparation compares."""
        return self.key, self.concept, self.version


@dataclasses.dataclass(frozen=True)
class SourceSettings:
    """kind: a name in `SOURCES`; path: a folder or table (`samples://...` for the package's own); stream: its documents'."""

    kind: str
    path: str
    stream: str

    def problems(self, at: str) -> list[Problem]:
        found = []
        if self.kind not in SOURCES:
            found.append(Problem(f"{at}.kind", self.kind, "unknown", f"use one of {tuple(SOURCES)}"))
        elif not _resolve(self.path).exists():
            found.append(Problem(f"{at}.path", self.path, "does not exist", "check the path"))
        return found


def items(name: str, settings: SourceSettings) -> Iterator[Item]:
    """The items of a source; keys begin with `name`. Raises Refusal for a table that cannot be read."""
    yield from SOURCES[settings.kind](name, _resolve(settings.path))


def _resolve(path: str) -> Path:
    return samples.directory() / path.removeprefix(SAMPLES) if path.startswith(SAMPLES) else Path(path)


def read_text(path: Path) -> str:
    """UTF-8 text of a file, with line ends as newlines."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise Refusal(
            Problem(str(path), None, f"is not UTF-8 ({error})", "convert it to UTF-8, or remove it")
        ) from error
    except OSError as error:
        raise Refusal(Problem(str(path), None, f"cannot be read ({error})", "check the path")) from error


def read_image(path: Path) -> np.ndarray:
    """uint8 [H, W, 3]; transparency is laid on white."""
    try:
        with Image.open(path) as image:
            if image.width * image.height > MOST_PIXELS:
                raise ValueError(f"{image.width} x {image.height} is more than {MOST_PIXELS} pixels")
            image = image.convert("RGBA")
            ground = Image.new("RGBA", image.size, "white")
            ground.alpha_composite(image)
            return np.asarray(ground.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise Refusal(Problem(str(path), None, f"is not a readable picture ({error})", "mend or remove it")) from error


def read_sound(path: Path) -> Sound:
    """Mono float32; several channels are averaged."""
    try:
        with soundfile.SoundFile(path) as file:
            if file.frames > MOST_SECONDS * file.samplerate:
                raise ValueError(f"longer than {MOST_SECONDS} s")
            samples_, rate = file.read(dtype="float32", always_2d=True), file.samplerate
    except (RuntimeError, OSError, ValueError) as error:
        raise Refusal(Problem(str(path), None, f"is not a readable sound ({error})", "mend or remove it")) from error
    if not len(samples_):
        raise Refusal(Problem(str(path), None, "holds no sound", "mend or remove it"))
    return Sound(samples_.mean(axis=1), rate)


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


def _size(file: Path) -> int | None:
    return file.stat().st_size if file.exists() else None


def _captioned_images(name: str, path: Path) -> Iterator[Item]:
    """A table with columns file, caption and, if there is one, concept."""
    for key, file, caption, concept in _table(name, path, ("file", "caption")):
        media = {"text": lambda t=caption: t, "image": lambda f=file: read_image(f)}
        yield Item(key, concept, media, f"{caption} {_size(file)}")


def _transcribed_speech(name: str, path: Path) -> Iterator[Item]:
    """A table with columns file, transcript and, if there is one, concept."""
    for key, file, transcript, concept in _table(name, path, ("file", "transcript")):
        media = {"text": lambda t=transcript: t, "audio": lambda f=file: read_sound(f)}
        yield Item(key, concept, media, f"{transcript} {_size(file)}")


def _prose(name: str, path: Path) -> Iterator[Item]:
    """A folder of .txt files, one document each; the concept is the file."""
    files = sorted(path.rglob("*.txt"))
    if not files:
        raise Refusal(Problem(str(path), None, "holds no .txt file", "check the path"))
    for file in files:
        key = f"{name}/{file.relative_to(path).as_posix()}"
        yield Item(key, key, {"text": lambda f=file: read_text(f)}, str(_size(file)))


SOURCES: dict[str, Callable[[str, Path], Iterator[Item]]] = {
    "captioned-images": _captioned_images,
    "transcribed-speech": _transcribed_speech,
    "prose": _prose,
}
