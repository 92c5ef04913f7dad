"""How much of its targets a request makes: all of them, at which length, or what is missing of those that are given.

What is kept of a given target is said in shares of it: START:STOP of a text, of the frames of a sound, of the rows of a
picture; a picture may add its columns behind an x, as in 0:1x0:0.5, its left half. Several, with commas, are all kept. Of a
picture a mask may say it instead: what is bright in it is made anew.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from mdm.codecs.codec import Media
from mdm.problems import Problem
from mdm.tokens.tasks import Task
from mdm.tokens.vocabulary import ENDING

Kept = Callable[[tuple[int, ...]], np.ndarray]
"""Shape of the codes of a target -> bool of that shape, which of them are kept."""

MOST_POSITIONS = 10**9
NO_PARTS = (
    "is not START:STOP with 0 <= START < STOP <= 1, several with commas",
    "use e.g. 0:0.5 for the first half, 0:0.3,0.7:1 for both ends, 0:1x0:0.5 for the left half of a picture",
)
_ROUNDING = 1e-6  # of a code: a pixel that ends where a code does reaches no further


@dataclasses.dataclass(frozen=True)
class Extent:
    """By target modality.

    lengths: exact number of positions of a target that is made as a whole; without it, it ends where the model says so, on a
             canvas as `mdm.sampling.settings.SamplerSettings.room` says
    kept:    of a target that is given
    more:    at most how many positions are written behind a target that is given, rounded up to whole frames of a sound
    """

    lengths: Mapping[str, int] = dataclasses.field(default_factory=dict)
    kept: Mapping[str, Kept] = dataclasses.field(default_factory=dict)
    more: Mapping[str, int] = dataclasses.field(default_factory=dict)


WHOLE = Extent()


def parts(text: str) -> Kept | None:
    """What the words above stand for; None if they are not of this form."""
    boxes = [tuple(map(_range, part.split("x"))) for part in text.split(",")]
    if any(None in box or len(box) > 2 for box in boxes):
        return None

    def kept(shape: tuple[int, ...]) -> np.ndarray:
        found = np.zeros(shape, bool)
        for box in boxes:
            found[tuple(slice(round(a * n), round(b * n)) for (a, b), n in zip(box, shape, strict=False))] = True
        return found

    return kept


def outside(mask: np.ndarray) -> Kept:
    """mask: uint8 [H, W, 3], laid over a picture as the codecs lay out pictures (`mdm.codecs.pictures.squares`); where it is
    bright the picture is made anew, and with a bright pixel of a code all of it, however thin the stroke."""
    places = np.nonzero(_bright(mask))
    side = max(mask.shape[:2])

    def kept(shape: tuple[int, ...]) -> np.ndarray:
        keep = np.ones(shape, bool)
        covered = [
            _codes(place, (side - size) / 2, n / side)
            for place, size, n in zip(places, mask.shape[:2], shape, strict=True)
        ]
        for rows in covered[0]:
            for columns in covered[1]:
                keep[rows, columns] = False
        return keep

    return kept


def _bright(mask: np.ndarray) -> np.ndarray:
    return mask.mean(axis=2) >= 128


def _alike(mask: np.ndarray, picture: np.ndarray) -> bool:
    """Whether one is the other's size scaled, to a pixel of the mask."""
    (rows, columns), scale = mask.shape[:2], picture.shape[0] / picture.shape[1]
    return abs(rows - columns * scale) <= 1 or abs(columns - rows / scale) <= 1


def _codes(place: np.ndarray, margin: float, scale: float) -> list[np.ndarray]:
    """The codes that pixels reach into, along one axis: the first of each, the second, and so on up to the last.

    place: of pixels; margin: pixels of the square before the picture; scale: codes a pixel
    """
    first = np.floor((place + margin) * scale + _ROUNDING).astype(np.int64)
    last = np.ceil((place + margin + 1) * scale - _ROUNDING).astype(np.int64) - 1
    return [np.minimum(first + step, last) for step in range(int((last - first).max(initial=0)) + 1)]


def extent_of(
    task: Task,
    given: Mapping[str, Media],
    at: str,
    problems: list[Problem],
    *,
    length: int | str | Mapping[str, int] | None = None,
    keep: str | None = None,
    mask: np.ndarray | None = None,
    more: int | None = None,
) -> Extent:
    """What a user asks for; what is wrong with it goes to `problems`, named behind `at`.

    given:  media by modality
    length: see `lengths_of`
    keep:   see `parts`; mask: see `outside`; more: positions behind what is given
    """
    targets = [m for m in task.targets if m in given]
    lengths = {} if length is None else lengths_of(task, length, f"{at}length", problems)
    for m in lengths:
        if m in targets:
            reason = f"{m} is given and has its length"
            problems.append(Problem(f"{at}length", length, reason, "say with more how far it is to go on"))
    kept = {}
    if keep is not None and mask is not None:
        problems.append(Problem(f"{at}keep", keep, "says what a mask says too", "give one of them"))
    elif keep is not None:
        own = parts(keep)
        if own is None:
            problems.append(Problem(f"{at}keep", keep, *NO_PARTS))
        elif "x" in keep and "image" not in targets:
            problems.append(Problem(f"{at}keep", keep, f"{task.name} makes nothing that has columns", "leave them out"))
        else:
            kept = dict.fromkeys(targets, own)
    elif mask is not None:
        if "image" not in targets:
            problems.append(Problem(f"{at}mask", None, "no picture is given that it could lie over", "give its image"))
        elif not _alike(mask, given["image"]):
            (rows, columns), own = mask.shape[:2], given["image"].shape
            reason = f"has not the proportions of its picture, {own[0]} x {own[1]} pixels"
            problems.append(Problem(f"{at}mask", f"{rows} x {columns}", reason, "paint it over the picture itself"))
        elif not _bright(mask).any():
            problems.append(
                Problem(f"{at}mask", None, "nothing in it is bright", "paint what is to be made anew white")
            )
        else:
            kept = {"image": outside(mask)}
    free = [m for m in targets if m in ENDING]
    if more is not None and len(free) != 1:
        reason = f"goes with one given target of free length; given are {targets}"
        problems.append(Problem(f"{at}more", more, reason, f"give one of {_free(task)}, or leave it out"))
        free = []
    beyond = dict.fromkeys(free, more) if more is not None else {}
    if targets and keep is None and mask is None and more is None:
        reason = f"gives {' and '.join(targets)}, which {task.name} is to make"
        remedy = (
            f"say which part of it is kept, e.g. keep 0:0.5{', or how many more to write behind it' if free else ''}"
        )
        problems.append(Problem(at.rstrip(": -") or task.name, None, reason, remedy))
    return Extent(lengths, kept, beyond)


def lengths_of(task: Task, length: int | str | Mapping[str, int], at: str, problems: list[Problem]) -> dict[str, int]:
    """Positions by target of free length. length: of the only one, or of some, as "text=20,audio=300" or as a mapping."""
    free = _free(task)
    if not free:
        problems.append(Problem(at, length, f"what {task.name} makes has one size", "leave it out"))
        return {}
    named = _named(length)
    if isinstance(named, int):
        if len(free) > 1:
            remedy = f"name them: {','.join(f'{m}={named}' for m in free)}"
            problems.append(Problem(at, length, f"{task.name} makes {' and '.join(free)}", remedy))
            return {}
        named = {free[0]: named}
    legal = named is not None and all(
        m in free and type(n) is int and 1 <= n <= MOST_POSITIONS for m, n in named.items()
    )
    if not legal:
        remedy = f"use a whole number from 1 to {MOST_POSITIONS}, for each of {free}, e.g. {free[0]}=20"
        problems.append(Problem(at, length, "is out of range", remedy))
        return {}
    return named


def _range(text: str) -> tuple[float, float] | None:
    try:
        start, stop = map(float, text.split(":"))
    except ValueError:
        return None
    return (start, stop) if 0 <= start < stop <= 1 else None


def _free(task: Task) -> list[str]:
    return [m for m in task.targets if m in ENDING]


def _named(length) -> int | dict[str, int] | None:
    """A number, or numbers by modality; None for anything else."""
    if isinstance(length, Mapping):
        return dict(length)
    if type(length) is int:
        return length
    if not isinstance(length, str):
        return None
    try:
        if "=" not in length:
            return int(length)
        pairs = [part.split("=") for part in length.split(",")]
        return {m.strip(): int(n) for m, n in pairs}
    except ValueError:
        return None


__all__ = ["MOST_POSITIONS", "NO_PARTS", "WHOLE", "Extent", "Kept", "extent_of", "lengths_of", "outside", "parts"]
