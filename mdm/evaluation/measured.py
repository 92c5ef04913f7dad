"""Figures of what was made, in rows and columns for people: a block for each task, its splits side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from mdm.evaluation.generated import Generated
from mdm.evaluation.measures.measure import ALIKE, LESS, MORE

_SIGNS = {MORE: "\N{UPWARDS ARROW}", LESS: "\N{DOWNWARDS ARROW}", ALIKE: "\N{ALMOST EQUAL TO}"}
_SIGNIFICANT, _DECIMALS = 3, 4  # at least so many digits, at most so many after the point


class Row(NamedTuple):
    """modality: of what is measured; figure: its name, with its unit; better: a sign, up, down, or about equal; cells: a text for
    each column of each split."""

    modality: str
    figure: str
    better: str
    cells: list[list[str]]


class Block(NamedTuple):
    """task: its name, and its stream where several share it; splits: (name, documents) pairs; columns: of each split; rows: see
    `Row`."""

    task: str
    splits: list[tuple[str, int]]
    columns: list[str]
    rows: list[Row]


def blocks(made: Sequence[Generated]) -> list[Block]:
    """In the order of `made`; those of a task that several streams share are told apart. A column that is empty throughout a task
    is left out."""
    places = dict.fromkeys((g.task, g.stream) for g in made)
    tasks = [task for task, _ in places]
    return [
        _block(
            f"{task} ({stream})" if tasks.count(task) > 1 else task,
            [g for g in made if (g.task, g.stream) == (task, stream)],
        )
        for task, stream in places
    ]


def figure(g: Generated) -> str:
    """What is measured, with its unit."""
    return f"{g.what} ({g.unit})" if g.unit else g.what


def sign(g: Generated) -> str:
    """What is better: up, down, or about equal."""
    return _SIGNS[g.better]


def cells(g: Generated, beside: Sequence[str]) -> list[str]:
    """The figure with its error, and those fields of it that stand beside it."""
    factor = 100 if g.unit == "%" else 1
    model, error = (None if value is None else factor * value for value in (g.model, g.se_data))
    found = _figure(model, error)
    if error is not None:
        found += f" \N{PLUS-MINUS SIGN} {_figure(error, model)}"
    others = [getattr(g, name) for name in beside]
    return [found, *(_figure(None if value is None else factor * value) for value in others)]


def _block(title: str, own: Sequence[Generated]) -> Block:
    splits = {g.split: g.documents for g in own}
    beside = [name for name in ("codec", "original", "chance") if any(getattr(g, name) is not None for g in own)]
    figures: dict[tuple[str, str, str], dict[str, Generated]] = {}
    for g in own:
        figures.setdefault((g.modality, figure(g), sign(g)), {})[g.split] = g
    rows = [
        Row(
            *place,
            [cells(of_split[split], beside) if split in of_split else [""] * (1 + len(beside)) for split in splits],
        )
        for place, of_split in figures.items()
    ]
    return Block(title, list(splits.items()), ["model", *beside], rows)


def _figure(value: float | None, other: float | None = None) -> str:
    """With enough digits for `value` and for `other`, whichever is larger."""
    if value is None:
        return ""
    largest = max(abs(value), abs(other or 0.0))
    decimals = _SIGNIFICANT - 1 - math.floor(math.log10(largest)) if largest else 0
    return f"{value:z.{min(max(decimals, 0), _DECIMALS)}f}"  # z: what is rounded to nothing has no sign
