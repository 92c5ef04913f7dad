"""Exhibits: a few originals kept beside a data set of codes, to be set beside what codecs and models make of them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import soundfile
from PIL import Image

from mdm import atomic
from mdm.codecs.codec import Codes, Media
from mdm.data.media import Item, read_image, read_sound
from mdm.problems import Problem, Refusal
from mdm.runs.storage import OF_PATHS

FOLDER = "exhibits"
MOST = 100  # of each stream and split: among so many is a picture looked for
MOST_SIDE = 256  # pixels
MOST_TEXT = 4000  # characters
_REMEDY = "copy the data set again, or take the folder of its exhibits out: nothing is then shown beside what is made"


@dataclasses.dataclass(frozen=True, eq=False)
class Exhibit:
    """One document as it was before it became codes."""

    stream: str
    split: str
    key: str
    media: dict[str, Media]


def write(directory: Path, stream: str, split: str, items: Iterable[Item], most: int = MOST) -> None:
    """Keeps the first `most` readable items of different concepts."""
    folder = directory / FOLDER / stream / split
    folder.mkdir(parents=True, exist_ok=True)
    seen: set[str] = set()
    lines = []
    for item in items:
        if len(lines) == most:
            break
        if item.concept in seen:
            continue
        try:
            media = {modality: read() for modality, read in item.media.items()}
        except Refusal:
            continue  # preparation itself decides whether it may be left out
        if any(isinstance(own, Codes) for own in media.values()):
            return  # what was encoded elsewhere has no originals here
        seen.add(item.concept)
        line = {"key": item.key, "files": {m: _write(folder / f"{len(lines):03d}", own) for m, own in media.items()}}
        lines.append(json.dumps(line, ensure_ascii=False) + "\n")
    atomic.write_text(folder / "index.jsonl", "".join(lines))


def read(directory: Path, stream: str, split: str) -> Iterator[Exhibit]:
    """What `write` kept; nothing if a data set has none. Raises Refusal naming a file that is missing or damaged, OSError if the
    storage fails, which it may not do the next time."""
    folder = Path(directory) / FOLDER / stream / split
    index = folder / "index.jsonl"
    if not index.exists():
        return
    # Not splitlines(): a key or a name may hold what Unicode calls the end of a line (U+2028).
    for number, line in enumerate(_read_text(index).split("\n"), start=1):
        if line:
            yield _exhibit(stream, split, folder, line, f"{index}: line {number}")


def _exhibit(stream: str, split: str, folder: Path, line: str, where: str) -> Exhibit:
    try:
        entry = json.loads(line)
        files = {m: (_READERS[m], folder / Path(name).name) for m, name in entry["files"].items()}
        key = entry["key"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Refusal(Problem(where, None, f"is no exhibit ({error!r})", _REMEDY)) from error
    return Exhibit(stream, split, key, {m: read(path) for m, (read, path) in files.items()})


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (*OF_PATHS, ValueError) as error:
        raise Refusal(Problem(str(path), None, f"cannot be read ({error})", _REMEDY)) from error


def _write(stem: Path, media: Media) -> str:
    if isinstance(media, str):
        path = stem.with_suffix(".txt")
        path.write_text(media[:MOST_TEXT], encoding="utf-8")
    elif hasattr(media, "samples"):
        path = stem.with_suffix(".flac")
        soundfile.write(path, media.samples, media.rate)
    else:
        path = stem.with_suffix(".png")
        picture = Image.fromarray(media)
        picture.thumbnail((MOST_SIDE, MOST_SIDE))
        picture.save(path)
    return path.name


_READERS = {"text": _read_text, "image": read_image, "audio": read_sound}
