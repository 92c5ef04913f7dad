"""Samples to be watched from step to step: a few of each task, small enough to be kept of every checkpoint."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from mdm.codecs.codec import Media
from mdm.evaluation import sheet
from mdm.evaluation.gallery import Room
from mdm.evaluation.sheet import Picture
from mdm.tokens.tasks import TASKS

MOST_PICTURES, MOST_SOUNDS, MOST_TEXTS = 16, 3, 6  # of each task and split
_CHARACTERS = 2000  # of a text


class Sample(NamedTuple):
    """name: with slashes, the same at every step; media: a text (Markdown), a sound, or one picture with several on it."""

    name: str
    media: Media


def of_rooms(rooms: Iterable[Room]) -> list[Sample]:
    """Of what the first sampler made for a gallery."""
    found = []
    for room in rooms:
        splits = dict.fromkeys(piece.split for piece in room.pieces)
        for split in splits:
            own = [piece for piece in room.pieces if piece.split == split]
            part = ["continued"] if room.wing.known else []
            place = ["gallery", split or "from nothing", room.stream, room.wing.task, *part]
            found += of_documents(place, room.wing.task, [p.original for p in own], [p.made[0] for p in own])
    return found


def of_documents(
    place: Sequence[str], task: str, originals: Sequence[Mapping[str, Media]], made: Sequence[Mapping[str, Media]]
) -> list[Sample]:
    """place: what the names begin with; originals: of the same documents, whose conditions are shown beside what was made"""
    found = []
    for modality in TASKS[task].targets:
        name = "/".join([*place, modality]).replace(" ", "-")
        media = [own[modality] for own in made]
        if modality == "image":
            captions = [_caption(*pair) for pair in zip(originals, made, strict=True)]
            pictures = [Picture(*pair, "") for pair in zip(media, captions, strict=True)][:MOST_PICTURES]
            found.append(Sample(name, np.asarray(sheet.contact_sheet(pictures))))
        elif modality == "audio":
            heard = [sound for sound in media if len(sound.samples)][:MOST_SOUNDS]
            found += [Sample(f"{name}/{number}", sound) for number, sound in enumerate(heard)]
        else:
            true = [own["text"] if TASKS[task].conditions and "text" in own else None for own in originals]
            texts = [_text(*pair) for pair in zip(media, true, strict=True)][:MOST_TEXTS]
            found.append(Sample(name, "\n\n---\n\n".join(texts)))
    return found


def _caption(original: Mapping[str, Media], made: Mapping[str, Media]) -> str:
    """The text that a picture was made with, or for."""
    return ([own["text"] for own in (made, original) if "text" in own] or [""])[0]


def _text(made: str, true: str | None) -> str:
    """Markdown in which every character is shown as it is."""
    return _block(made) if true is None else f"{_block(made)}\n\ntrue:\n\n{_block(true)}"


def _block(text: str) -> str:
    return "\n".join(f"    {line}" for line in text[:_CHARACTERS].splitlines() or [""])
