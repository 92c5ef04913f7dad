"""Records with named fields (rows of a table, objects of a line, features of a data set) as items."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mdm.codecs.codec import Codes, Media, Sound
from mdm.data.media import Item, read_image, read_sound, text_of, unreadable
from mdm.data.readers.reader import Options
from mdm.fingerprint import fingerprint
from mdm.problems import Problem, Refusal
from mdm.tokens.vocabulary import MODALITIES


@dataclasses.dataclass(frozen=True)
class FieldOptions(Options):
    """text, image, audio: names of the fields that hold them, empty for what the documents do not have; key: of a field that
    names the record, its number if empty; split_by: of a field whose equal values stay on one side of the split, if empty the
    text, or the record where there is none."""

    text: str = "text"
    image: str = ""
    audio: str = ""
    key: str = ""
    split_by: str = ""

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
        return found


def item_of(name: str, number: str, where: str, record: Mapping[str, Any], folder: Path, options: FieldOptions) -> Item:
    """The item of a record. number: within the source, unique; where: as its owner would name it; folder: files that fields name
    lie below it.

    A field holds a text (a string or UTF-8 bytes), a picture or sound (the bytes of a file, a struct with `bytes` or `path`, a
    path below `folder`, or decoded values) or codes (a list or array of whole numbers).
    """
    missing = [field for field in options.fields if field not in record or record[field] is None]
    key = f"{name}/{number}"
    if missing:
        problem = Problem(where, None, f"has no {', '.join(missing)}", f"fill it in; it has {sorted(record)}")
        return unreadable(key, problem, options.media)
    if options.key:
        key = f"{name}/{record[options.key]}"
    text = record[options.text] if options.text else None
    concept = str(record[options.split_by]) if options.split_by else text if isinstance(text, str) else key
    readers = {
        modality: (lambda m=modality, v=record[field], w=f"{where} {field}": _READ[m](v, folder, w))
        for modality, field in options.media.items()
    }
    held = sum(_size(record[field]) for field in options.media.values())
    return Item(key, concept, readers, fingerprint([text if isinstance(text, str) else "", held]), held)


def _text(value: Any, folder: Path, where: str) -> Media:
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return text_of(value, where)
    return _codes(value, where)


def _media(modality: str, read: Callable, decoded: Callable) -> Callable[[Any, Path, str], Media]:
    def open_(value: Any, folder: Path, where: str) -> Media:
        rate = None
        if isinstance(value, Mapping):
            rate = value["sampling_rate"] if "sampling_rate" in value else None
            present = [key for key in ("bytes", "array", "path") if key in value and value[key] is not None]
            if not present:
                raise Refusal(Problem(where, sorted(value), "holds neither bytes nor a path", "fill one in"))
            value = value[present[0]]
        if isinstance(value, bytes):
            return read(value, where)
        if isinstance(value, str):
            return read(below(folder, value, where))
        array = np.asarray(value)
        found = decoded(array, rate)
        return _codes(array, where) if found is None else found

    return open_


def _picture(array: np.ndarray, _rate: int | None) -> np.ndarray | None:
    """uint8 [H, W, 1 or 3] is a picture, anything else is not."""
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] not in (1, 3):
        return None
    return np.ascontiguousarray(np.broadcast_to(array, (*array.shape[:2], 3)))


def _sound(array: np.ndarray, rate: int | None) -> Sound | None:
    """Samples with a rate are a sound; whole numbers are scaled to [-1, 1]."""
    if rate is None or array.ndim != 1 or not array.size:
        return None
    scale = -float(np.iinfo(array.dtype).min) if array.dtype.kind == "i" else 1.0
    return Sound((array / scale).astype(np.float32), int(rate))


def _codes(value: Any, where: str) -> Codes:
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise Refusal(Problem(where, None, f"is no array ({error})", "give lists of equal lengths")) from error
    if array.dtype.kind not in "iu" or not array.size:
        found = f"{array.dtype} {array.shape}"
        raise Refusal(Problem(where, found, "is neither media nor codes", "give text, a file, or whole numbers"))
    return Codes(array.astype(np.int32))


def below(folder: Path, file: str, where: str) -> Path:
    """The path of a file that a record names. Raises Refusal, naming `where`, if it would lie outside of `folder`."""
    target = (folder / file).resolve()
    if not target.is_relative_to(folder.resolve()):
        raise Refusal(Problem(where, file, f"lies outside of {folder}", "use paths below it"))
    return target


def _size(value: Any) -> int:
    if isinstance(value, Mapping):
        return sum(map(_size, value.values()))
    return len(value) if isinstance(value, str | bytes) else getattr(value, "nbytes", 8)


_READ: dict[str, Callable[[Any, Path, str], Media]] = {
    "text": _text,
    "image": _media("image", read_image, _picture),
    "audio": _media("audio", read_sound, _sound),
}
