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
from mdm.problems import Refusal

FOLDER = "exhibits"
MOST = 100  # of each stream and split: among so many is a picture looked for
MOST_SIDE = 256  # pixels
MOST_TEXT = 4000  # characters


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
    """What `write` kept; nothing if a data set has none. Raises Refusal naming a file that cannot be read."""
    folder = Path(directory) / FOLDER / stream / split
    if not (folder / "index.jsonl").exists():
        return
    for line in (folder / "index.jsonl").read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        media = {m: _READERS[m](folder / Path(name).name) for m, name in entry["files"].items()}
        yield Exhibit(stream, split, entry["key"], media)


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


_READERS = {"text": lambda path: path.read_text(encoding="utf-8"), "image": read_image, "audio": read_sound}
