"""Admission: what must hold of an item before anything is made of it, so that hashes, codecs and file names never meet less."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping

from mdm.codecs import mel, pictures, text_bytes
from mdm.codecs.codec import Codes, Media
from mdm.data.media import Item, unreadable
from mdm.problems import Problem, Refusal

_CHECKED: Mapping[str, Callable[[Media], Media]] = {
    "text": text_bytes.checked,
    "image": pictures.checked,
    "audio": mel.checked,
}
"""What codecs of a modality demand of a medium."""


def admit(item: Item) -> Item:
    """`item` with media that are checked when they are opened: what they raise names the record, and what they give every codec
    of their modality takes. Unreadable if its key or concept, which are hashed, has no UTF-8 form, such as a file name in another
    encoding or half of a surrogate pair."""
    for what, name in (("name", item.key), ("concept", item.concept)):
        shown = name.encode("utf-8", "backslashreplace").decode()
        if shown != name:
            key = item.key.encode("utf-8", "backslashreplace").decode()
            reason, remedy = f"has a {what} without UTF-8 form", "rename it, or remove it"
            return unreadable(key, Problem(key, shown, reason, remedy), item.media)
    media = {modality: functools.partial(_open, item.key, modality, read) for modality, read in item.media.items()}
    return dataclasses.replace(item, media=media)


def _open(key: str, modality: str, read: Callable[[], Media]) -> Media:
    medium = read()
    if isinstance(medium, Codes):  # only the codec itself knows what they may be
        return medium
    try:
        return _CHECKED[modality](medium)
    except Refusal as refusal:
        raise refusal.inside(key) from refusal
