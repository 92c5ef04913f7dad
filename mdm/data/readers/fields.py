"""Records with named fields (rows of a table, objects of a line, features of a data set) as items."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mdm.codecs.codec import Media, Sound
from mdm.data.media import Item, array_of, below, codes_of, document_text, read_image, read_sound, unreadable
from mdm.data.readers.reader import Options
from mdm.fingerprint import fingerprint
from mdm.problems import Problem, Refusal
from mdm.tokens.vocabulary import MODALITIES

_NUMBER = 32  # bytes of one of Python's, with its place in a list
MOST_CHANNELS = 32  # more are the samples of [channels, n]
MOST_BITS = 32  # of a sample: nobody records more, so wider whole numbers say nothing of the scale


@dataclasses.dataclass(frozen=True)
class FieldOptions(Options):
    """text, image, audio: names of the fields that hold them, empty for what the documents do not have; key: of a field that
    names the record, its number if empty; split_by: of a field whose equal values stay on one side of the split, if empty the
    text, or the record where there is none; bits: of the samples of sounds that fields hold as whole numbers (16 is usual), 0 to
    take the width of their column, which JSON does not have."""

    text: str = "text"
    image: str = ""
    audio: str = ""
    key: str = ""
    split_by: str = ""
    bits: int = 0

    @property
    def media(self) -> dict[str, str]:
        """modality -> field."""
        return {m: getattr(self, m) for m in MODALITIES if getattr(self, m)}

    @property
    def fields(self) -> list[str]:
        """All that are read."""
        return list(dict.fromkeys(filter(None, [*self.media.values(), self.key, self.split_by])))

    def problems(self, at: str) -> list[Problem]:
        found = super().problems(at)
        if not self.media:
            found.append(Problem(at, None, "names no field of media", "name one of text, image and audio"))
        if self.bits and not 2 <= self.bits <= MOST_BITS:
            remedy = f"0 to take the column's width, else 2 to {MOST_BITS}"
            found.append(Problem(f"{at}.bits", self.bits, "is no width of samples", remedy))
        return found

    @property
    def finer(self) -> str:
        return "split_by=FIELD, of a field whose values differ"


def item_of(name: str, number: str, where: str, record: Mapping[str, Any], folder: Path, options: FieldOptions) -> Item:
    """The item of a record. number: within the source, unique; where: as its owner would name it; folder: files that fields name
    lie below it.

    A field holds a text (a string or UTF-8 bytes), a picture or sound (the bytes of a file, a struct with `bytes` or `path`, a
    path below `folder`, or decoded values: pixels, or a struct with `array` and `sampling_rate`) or codes (a list or array of
    whole numbers).
    """
    missing = [field for field in options.fields if field not in record or record[field] is None]
    key = f"{name}/{number}"
    if missing:
        problem = Problem(where, None, f"has no {', '.join(missing)}", f"fill it in; it has {sorted(record)}")
        return unreadable(key, problem, options.media)
    if options.key:
        key = f"{name}/{record[options.key]}"
    text = record[options.text] if options.text else None
    if isinstance(text, str | bytes):
        try:
            text = document_text(text, f"{where} {options.text}", alone=len(options.media) == 1)
            record = {**record, options.text: text}
        except Refusal as refusal:
            return unreadable(key, refusal.problems[0], options.media)
    concept = str(record[options.split_by]) if options.split_by else text if isinstance(text, str) else key
    readers = {
        modality: (lambda m=modality, v=record[field], w=f"{where} {field}": _READ[m](v, folder, w, options))
        for modality, field in options.media.items()
    }
    held = sum(_size(record[field]) for field in options.media.values())
    return Item(key, concept, readers, fingerprint([text if isinstance(text, str) else "", held]), held)


def _text(value: Any, folder: Path, where: str, options: FieldOptions) -> Media:
    return value if isinstance(value, str) else codes_of(value, where)


def _image(value: Any, folder: Path, where: str, options: FieldOptions) -> Media:
    value = _content(value, where)
    if isinstance(value, bytes | str):
        return _file(read_image, value, folder, where)
    array = array_of(value, where)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] not in (1, 3):
        return codes_of(array, where)
    return np.ascontiguousarray(np.broadcast_to(array, (*array.shape[:2], 3)))


def _audio(value: Any, folder: Path, where: str, options: FieldOptions) -> Media:
    struct = isinstance(value, Mapping)
    rate = value["sampling_rate"] if struct and "sampling_rate" in value else None
    value = _content(value, where)
    if isinstance(value, bytes | str):
        return _file(read_sound, value, folder, where)
    array = array_of(value, where)
    return Sound(_samples(array, options.bits, where), _whole(rate, where)) if struct else codes_of(array, where)


def _file(read: Callable[..., Media], value: bytes | str, folder: Path, where: str) -> Media:
    """Of the bytes of a file, or of a file below a folder."""
    return read(value, where) if isinstance(value, bytes) else read(below(folder, value, where))


def _content(value: Any, where: str) -> Any:
    """What a struct holds; anything else as it is."""
    if not isinstance(value, Mapping):
        return value
    present = [key for key in ("bytes", "array", "path") if key in value and value[key] is not None]
    if not present:
        raise Refusal(Problem(where, sorted(value), "holds neither bytes nor a path", "fill one in"))
    return value[present[0]]


def _whole(rate: Any, where: str) -> int:
    if (
        isinstance(rate, int | float | np.number)
        and not isinstance(rate, bool)
        and math.isfinite(rate)
        and rate % 1 == 0
    ):
        return int(rate)
    reason, remedy = "sampling_rate is no number of samples a second", "give a whole number, as 16000"
    raise Refusal(Problem(where, rate, reason, remedy))


def _samples(array: np.ndarray, bits: int, where: str) -> np.ndarray:
    """float32 [n] from [n] or [n, channels], which are averaged as those of files are. Whole numbers are scaled to [-1, 1]; bits:
    their width, 0 for that of the array."""
    if array.dtype.kind not in "if" or not array.size or array.ndim not in (1, 2) or array.shape[1:] > (MOST_CHANNELS,):
        found, remedy = (
            f"{array.dtype} {array.shape}",
            "give floats in [-1, 1] or signed whole numbers, [n] or [n, channels]",
        )
        raise Refusal(Problem(where, found, "are no samples of a sound", remedy))
    array = array if array.dtype.kind == "f" else _scaled(array, bits, where)
    return (array if array.ndim == 1 else array.mean(axis=1)).astype(np.float32)


def _scaled(array: np.ndarray, bits: int, where: str) -> np.ndarray:
    bits = bits or 8 * array.dtype.itemsize
    if bits > MOST_BITS:
        reason = "holds samples in whole numbers of unknown width"
        remedy = 'say it with the source\'s option "bits" (16 is usual), or give floats in [-1, 1]'
        raise Refusal(Problem(where, str(array.dtype), reason, remedy))
    full = 1 << bits - 1
    low, high = int(array.min()), int(array.max())
    if low < -full or high >= full:
        raise Refusal(Problem(where, (low, high), f"samples lie outside of {bits} bits", "mend it, or set bits right"))
    return array / full


def _size(value: Any) -> int:
    """Bytes that a value of a record takes, roughly: what a look at the sources may hold is counted by it."""
    if isinstance(value, Mapping):
        return sum(map(_size, value.values()))
    if isinstance(value, list):
        return sum(map(_size, value)) if value and isinstance(value[0], list) else _NUMBER * len(value)
    return len(value) if isinstance(value, str | bytes) else getattr(value, "nbytes", 8)


_READ: dict[str, Callable[[Any, Path, str, FieldOptions], Media]] = {"text": _text, "image": _image, "audio": _audio}
