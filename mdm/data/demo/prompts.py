"""Telephone prompts: one person reading short sentences, with transcripts."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import soundfile

from mdm.data.demo.catalogue import PROMPT_TEXTS, PROMPTS
from mdm.data.media import Item, read_sound, size_of

LONGEST_SECONDS = 4.0


def spoken(name: str, folder: Path) -> Iterator[Item]:
    """Recordings of up to LONGEST_SECONDS; the concept is the sentence. Tones and noises are left out."""
    top = PROMPTS.fetch(folder) / "usr" / "share" / "asterisk" / "sounds" / "en_US_f_Allison"
    doc = PROMPT_TEXTS.fetch(folder) / "usr" / "share" / "doc" / "asterisk-core-sounds-en" / "core-sounds-en.txt.gz"
    with gzip.open(doc, "rt", encoding="utf-8", errors="replace") as file:
        lines = [line.partition(": ") for line in file if not line.startswith(";")]
    for key, _, text in lines:
        clip, text = top / f"{key}.wav", text.strip()
        if text and text[0] not in "[(<" and clip.exists() and soundfile.info(clip).duration <= LONGEST_SECONDS:
            media = {"text": lambda t=text: t, "audio": lambda f=clip: read_sound(f)}
            yield Item(f"{name}/{key}", text, media, f"{text} {size_of(clip)}")
