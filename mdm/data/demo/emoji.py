"""Emoji as drawn by two vendors, with their names as captions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from mdm.data.demo.catalogue import CLDR, CLDR_DERIVED, EMOJI_GOOGLE, EMOJI_TWITTER
from mdm.data.media import Item, read_image, size_of

_VENDORS = {"google": EMOJI_GOOGLE, "twitter": EMOJI_TWITTER}
_FULLY_QUALIFIED = "\ufe0f"  # a variation selector, which the tables of names leave out


def captioned(name: str, folder: Path, language: str = "en") -> Iterator[Item]:
    """Every drawing of every emoji, skin tones included; the concept is the emoji without its skin tone."""
    captions = _captions(folder, language)
    for vendor, package in _VENDORS.items():
        place = package.fetch(folder) / "package"
        for base, variant in _variants(place):
            file = place / "img" / vendor / "64" / variant["image"]
            caption = captions.get(_characters(variant["unified"]))
            if caption and file.exists():
                media = {"text": lambda t=caption: t, "image": lambda f=file: read_image(f)}
                yield Item(f"{name}/{vendor}/{variant['unified']}", concept(base), media, f"{caption} {size_of(file)}")


def names(folder: Path) -> list[tuple[str, str, str]]:
    """(code points, concept, English name) of every emoji without skin tones."""
    captions = _captions(folder, "en")
    found = []
    for base, variant in _variants(EMOJI_GOOGLE.fetch(folder) / "package"):
        if variant is base and _characters(base["unified"]) in captions:
            found.append((base["unified"], concept(base), captions[_characters(base["unified"])]))
    return found


def concept(base: dict) -> str:
    """The same for pictures and for speech: an emoji is held out in all its forms or in none."""
    return f"emoji {base['unified']}"


def _variants(place: Path) -> Iterator[tuple[dict, dict]]:
    for base in json.loads((place / "emoji.json").read_text(encoding="utf-8")):
        yield base, base
        for variant in (base.get("skin_variations") or {}).values():
            yield base, variant


def _characters(unified: str) -> str:
    return "".join(chr(int(part, 16)) for part in unified.split("-")).replace(_FULLY_QUALIFIED, "")


def _captions(folder: Path, language: str) -> dict[str, str]:
    captions = {}
    for package, top in ((CLDR, "annotations"), (CLDR_DERIVED, "annotationsDerived")):
        file = package.fetch(folder) / "package" / top / language / "annotations.json"
        entries = json.loads(file.read_text(encoding="utf-8"))[top]["annotations"]
        captions |= {emoji: entry["tts"][0] for emoji, entry in entries.items() if entry.get("tts")}
    return captions
