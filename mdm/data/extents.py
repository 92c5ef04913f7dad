"""How much of its targets a request makes: all of them, at which length, or what is missing of those that are given.

What is kept of a given target is said in shares of it, or by a mask (`mdm.data.regions`).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np

from mdm.codecs.codec import Media
from mdm.codecs.pictures import checked
from mdm.data.regions import NO_PARTS, Kept, alike, bright, outside, parts
from mdm.problems import Problem, collecting, refuse_if
from mdm.tokens.rows import Document
from mdm.tokens.tasks import Task
from mdm.tokens.vocabulary import ENDING

MOST_POSITIONS = 10**9


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


def known_codes(extent: Extent, codes: Document, targets: Sequence[str]) -> tuple[Document, dict[str, np.ndarray]]:
    """Codes with room for what is written behind them, and which of them are known, for the targets that `extent` speaks of.

    codes: of what is given. Raises Refusal if every target is given and nothing of any is to be made, and as `extent_of`'s kept
    """
    codes, known = dict(codes), {m: kept(codes[m].shape) for m, kept in extent.kept.items()}
    for m, more in extent.more.items():
        beyond = (-(-more // math.prod(codes[m].shape[1:])), *codes[m].shape[1:])
        old = known[m] if m in known else np.ones(codes[m].shape, bool)
        known[m] = np.concatenate([old, np.zeros(beyond, bool)])
        codes[m] = np.concatenate([codes[m], np.zeros(beyond, codes[m].dtype)])
    if known and all(m in codes and (m not in known or known[m].all()) for m in targets):
        reason = f"leaves nothing to make of {' and '.join(targets)}"
        refuse_if([Problem("keep", None, reason, "keep less of it; whole codes are kept or made")])
    return codes, known


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
    keep:   see `regions.parts`; mask: see `regions.outside` and `bright`; more: positions behind what is given
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
        if not isinstance(keep, str) or parts(keep) is None:
            problems.append(Problem(f"{at}keep", keep, *NO_PARTS))
        elif "x" in keep and "image" not in targets:
            problems.append(Problem(f"{at}keep", keep, f"{task.name} makes nothing that has columns", "leave them out"))
        else:
            sizes = {m: np.shape(given[m])[:2] if m == "image" else None for m in targets}
            kept = {m: parts(keep, size, "keep") for m, size in sizes.items()}
    elif mask is not None:
        if "image" not in targets:
            problems.append(Problem(f"{at}mask", None, "no picture is given that it could lie over", "give its image"))
        else:
            with collecting(problems):
                lit, size = bright(mask, f"{at}mask"), checked(given["image"], f"{at}image").shape[:2]
                if not alike(lit.shape, size):
                    reason = f"has not the proportions of its picture, {size[0]} x {size[1]} pixels"
                    found = f"{lit.shape[0]} x {lit.shape[1]}"
                    refuse_if([Problem(f"{at}mask", found, reason, "paint it over the picture itself")])
                if not lit.any():
                    remedy = "paint what is to be made anew white"
                    refuse_if([Problem(f"{at}mask", None, "nothing in it is bright", remedy)])
                kept = {"image": outside(lit)}
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


__all__ = ["MOST_POSITIONS", "WHOLE", "Extent", "extent_of", "known_codes", "lengths_of"]
