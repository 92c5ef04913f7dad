"""The stamps of Tux Paint: pictures with captions in many languages, and people who read these captions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import soundfile

from mdm.data.demo.catalogue import STAMPS
from mdm.data.media import Item, read_image, read_sound, size_of

LONGEST_SECONDS = 4.0
_ENGLISH = ""


def captioned(name: str, folder: Path) -> Iterator[Item]:
    """Every stamp that is a bitmap, with its English caption."""
    for key, texts, stem in _stamps(folder):
        picture = stem.with_suffix(".png")
        if picture.exists() and texts[_ENGLISH]:
            caption = texts[_ENGLISH]
            media = {"text": lambda t=caption: t, "image": lambda f=picture: read_image(f)}
            yield Item(f"{name}/{key}", _concept(key), media, f"{caption} {size_of(picture)}")


def spoken(name: str, folder: Path) -> Iterator[Item]:
    """Recordings of people who read the captions, in any language, up to LONGEST_SECONDS."""
    for key, texts, stem in _stamps(folder):
        for language, text in texts.items():
            clip = stem.with_name(f"{stem.name}_desc{language and '_' + language}.ogg")
            if text and clip.exists() and soundfile.info(clip).duration <= LONGEST_SECONDS:
                media = {"text": lambda t=text: t, "audio": lambda f=clip: read_sound(f)}
                yield Item(f"{name}/{key}.{language or 'en'}", _concept(key), media, f"{text} {size_of(clip)}")


def _concept(key: str) -> str:
    return f"stamp {key}"


def _stamps(folder: Path) -> Iterator[tuple[str, dict[str, str], Path]]:
    """(key, caption by language, path without suffix) of every stamp."""
    top = STAMPS.fetch(folder) / "usr" / "share" / "tuxpaint" / "stamps"
    for file in sorted(top.rglob("*.txt")):
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        texts = {_ENGLISH: lines[0].strip() if lines else ""}
        for line in lines[1:]:
            language, mark, text = line.partition(".utf8=")
            if mark:
                texts[language] = text.strip()
        yield file.relative_to(top).with_suffix("").as_posix(), texts, file.with_suffix("")
