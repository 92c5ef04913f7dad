"""Regions: which codes of a given target are kept.

By shares of it: START:STOP of a text, of the frames of a sound, of the rows of a picture; a picture may add its columns behind
an x, as in 0:1x0:0.5, its left half. Several, with commas, are all kept. Of a picture a mask may say it instead: what is bright
in it is made anew.

Picture codecs lay a picture that is not square into the middle of a square (`mdm.codecs.pictures.squares`). Shares and masks
are of the picture itself; what lies around it is always kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from mdm.problems import Problem, Refusal, refuse_if

Kept = Callable[[tuple[int, ...]], np.ndarray]
"""Shape of the codes of a target -> bool of that shape, which of them are kept."""

NO_PARTS = (
    "is not START:STOP with 0 <= START < STOP <= 1, several with commas",
    "use e.g. 0:0.5 for the first half, 0:0.3,0.7:1 for both ends, 0:1x0:0.5 for the left half of a picture",
)
_ROUNDING = 1e-6  # of a code: a pixel that ends where a code does reaches no further


def parts(text: str, picture: tuple[int, int] | None = None, where: str = "") -> Kept | None:
    """What the words above stand for; None if they are not of this form.

    picture: rows and columns of pixels, if the target is one
    where:   what to call `text` in a Refusal if no code at all is kept; without it that is well
    """
    boxes = [tuple(map(_range, part.split("x"))) for part in text.split(",")]
    if any(None in box or len(box) > 2 for box in boxes):
        return None

    def kept(shape: tuple[int, ...]) -> np.ndarray:
        spans = _spans(picture, shape)
        around, found = np.ones(shape, bool), np.zeros(shape, bool)
        around[tuple(_cut((0, 1), span) for span in spans)] = False
        for box in boxes:
            whole = ((0, 1),) * (len(shape) - len(box))
            found[tuple(_cut(part, span) for part, span in zip((*box, *whole), spans, strict=True))] = True
        if where and not found.any():
            size = " x ".join(map(str, shape))
            refuse_if([Problem(where, text, f"keeps none of its {size} codes", "keep more of it, or leave it out")])
        return found | around

    return kept


def outside(mask: np.ndarray) -> Kept:
    """mask: of `bright`, laid over a picture; where it is bright the picture is made anew, and with a bright pixel of a code all
    of it, however thin the stroke."""
    lit = bright(mask)
    places = np.nonzero(lit)
    side = max(lit.shape)

    def kept(shape: tuple[int, ...]) -> np.ndarray:
        keep = np.ones(shape, bool)
        covered = [
            _codes(place, (side - size) / 2, n / side) for place, size, n in zip(places, lit.shape, shape, strict=True)
        ]
        for rows in covered[0]:
            for columns in covered[1]:
                keep[rows, columns] = False
        return keep

    return kept


def bright(mask: np.ndarray, where: str = "mask") -> np.ndarray:
    """bool [H, W]: where a mask is bright. mask: [H, W], or [H, W, C] of 1 or 3 channels; uint8, bool, or floats from 0 to 1.
    Raises Refusal, naming `where`, for anything else."""
    array = np.asarray(mask) if hasattr(mask, "__array__") else None
    remedy = "give an array [H, W] or [H, W, 3] of uint8, bool, or floats from 0 to 1"
    if array is None:
        found = mask if isinstance(mask, str) else type(mask).__name__
        raise Refusal(Problem(where, found, "is no array of pixels", remedy))
    if array.ndim not in (2, 3) or array.size == 0 or array.shape[2:] not in ((), (1,), (3,)):
        raise Refusal(Problem(where, f"{array.dtype} {array.shape}", "has not the shape of a picture", remedy))
    floats = array.dtype.kind == "f"
    if not floats and array.dtype not in (np.uint8, np.bool_):
        raise Refusal(Problem(where, f"{array.dtype}", "is of a type that does not tell what is bright in it", remedy))
    if floats and not ((array >= 0) & (array <= 1)).all():
        raise Refusal(Problem(where, f"{array.dtype}", "has values outside of 0 to 1", remedy))
    level = array.reshape(*array.shape[:2], -1).mean(axis=2)
    return level >= (128 if array.dtype == np.uint8 else 0.5)


def alike(mask: tuple[int, int], picture: tuple[int, int]) -> bool:
    """Whether the one is the other's size scaled, to a pixel of the mask. Both in rows and columns."""
    (rows, columns), scale = mask, picture[0] / picture[1]
    return abs(rows - columns * scale) <= 1 or abs(columns - rows / scale) <= 1


def _spans(picture: tuple[int, int] | None, shape: tuple[int, ...]) -> list[tuple[float, float]]:
    """Where what is shared out begins and ends along each axis, in codes."""
    if picture is None:
        return [(0, n) for n in shape]
    side = max(picture)
    return [
        ((side - size) / 2 * n / side, (side + size) / 2 * n / side) for size, n in zip(picture, shape, strict=True)
    ]


def _cut(part: tuple[float, float], span: tuple[float, float]) -> slice:
    """The codes of a part of a span; from its beginning and up to its end with the codes that it reaches into."""
    (start, stop), (first, last) = part, span
    begin = math.floor(first + _ROUNDING) if start == 0 else round(first + start * (last - first))
    return slice(begin, math.ceil(last - _ROUNDING) if stop == 1 else round(first + stop * (last - first)))


def _codes(place: np.ndarray, margin: float, scale: float) -> list[np.ndarray]:
    """The codes that pixels reach into, along one axis: the first of each, the second, and so on up to the last.

    place: of pixels; margin: pixels of the square before the picture; scale: codes a pixel
    """
    first = np.floor((place + margin) * scale + _ROUNDING).astype(np.int64)
    last = np.ceil((place + margin + 1) * scale - _ROUNDING).astype(np.int64) - 1
    return [np.minimum(first + step, last) for step in range(int((last - first).max(initial=0)) + 1)]


def _range(text: str) -> tuple[float, float] | None:
    try:
        start, stop = map(float, text.split(":"))
    except ValueError:
        return None
    return (start, stop) if 0 <= start < stop <= 1 else None


__all__ = ["NO_PARTS", "Kept", "alike", "bright", "outside", "parts"]
