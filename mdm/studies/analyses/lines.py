"""Points of a chart from the rows of a study, and what can be wrong with the names of an analysis."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence

from mdm.problems import Problem
from mdm.studies.chart import Series
from mdm.studies.fits.interval import Interval
from mdm.studies.rows import SEED, Row, in_order, is_number, mean


def lines(rows: Sequence[Row], x: str, y: str, by: Sequence[str], line: bool = True) -> tuple[Series, ...]:
    """Means over the rows of one x and one level of `by`."""
    found = []
    for cell, own in in_order(rows, by).items():
        places = sorted({value for row in own if (value := row.value(x)) is not None})
        means = [mean([row.value(y) for row in own if row.value(x) == place]) for place in places]
        shown = [
            (place, m.mean, (m.error or 0.0,) * 2) for place, m in zip(places, means, strict=True) if m.mean is not None
        ]
        failed = [row for row in own if row.diverged and row.value(y) is None]
        lost = tuple(place for place in places if any(row.value(x) == place for row in failed))
        u, v, error = zip(*shown, strict=True) if shown else ((), (), ())
        found.append(Series(", ".join(cell) or "all", u, v, error, line, diverged=lost))
    return tuple(found)


Where = Mapping[str, str] | Sequence[Mapping[str, str]]
"""Axis -> level, all of which a trial must have; or several such, of which it must match one."""


def chosen(rows: Sequence[Row], where: Where) -> list[Row]:
    """Rows of these levels."""
    return [row for row in rows if _matches(row.levels, where)]


def chosen_levels(levels: Sequence[Mapping[str, str]], where: Where) -> list[Mapping[str, str]]:
    """Likewise, of the levels of trials that are planned."""
    return [level for level in levels if _matches(level, where)]


def _alternatives(where: Where) -> Sequence[Mapping[str, str]]:
    return (where,) if isinstance(where, Mapping) else where


def _matches(level: Mapping[str, str], where: Where) -> bool:
    return any(
        all(axis in level and level[axis] == label for axis, label in own.items()) for own in _alternatives(where)
    )


def beside(labels: Sequence[str], found: Sequence[Sequence[Interval | None]]) -> tuple[Series, ...]:
    """Points with their intervals at the places 0, 1, ..., those of several labels beside each other."""
    series = []
    for number, (label, own) in enumerate(zip(labels, found, strict=True)):
        shift = 0.5 * (number - (len(labels) - 1) / 2) / len(labels)
        points = [(place + shift, figure) for place, figure in enumerate(own) if figure is not None]
        bars = tuple((0.0, 0.0) if f.low is None else (f.value - f.low, f.high - f.value) for _, f in points)
        series.append(Series(label, tuple(x for x, _ in points), tuple(f.value for _, f in points), bars))
    return tuple(series)


def cell_of(level: Mapping[str, str]) -> tuple:
    return tuple(label for axis, label in level.items() if axis != SEED)


def grouped(levels: Sequence[Mapping[str, str]], by: Sequence[str]) -> dict[str, list[Mapping[str, str]]]:
    found: dict[str, list[Mapping[str, str]]] = {}
    for level in levels:
        found.setdefault(", ".join(f"{axis} {level[axis]}" for axis in by), []).append(level)
    return found


def unknown(at: str, fields: Mapping[str, str], by: Sequence[str], axes, names) -> Iterable[Problem]:
    known = (*axes, *sorted(names))
    for field, name in fields.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            remedy = f"did you mean {near[0]}?" if near else f"use one of {', '.join(known)}"
            yield Problem(f"{at}.{field}", name, "is neither an axis nor a figure of every trial", remedy)
    for name in by:
        if name not in axes:
            yield Problem(f"{at}.by", name, "is not an axis", f"use one of {', '.join(axes)}")


def unknown_levels(at: str, where: Where, levels: Sequence[Mapping[str, str]]) -> Iterable[Problem]:
    for axis, label in (item for own in _alternatives(where) for item in own.items()):
        known = dict.fromkeys(level[axis] for level in levels if axis in level)
        if levels and label not in known:
            reason = "is not a level of a trial" if known else "is not an axis"
            yield Problem(f"{at}.{axis}", label, reason, f"use one of {', '.join(known or levels[0])}")


def no_numbers(at: str, name: str, axes, levels, positive: bool = True) -> Iterable[Problem]:
    """positive: whether its logarithm is taken"""
    if name in axes:
        for label in dict.fromkeys(level[name] for level in levels if name in level):
            if not is_number(label):
                yield Problem(f"{at}.x", f"{name} {label}", "is not a number", "label the levels with their values")
            elif positive and float(label) <= 0:
                yield Problem(
                    f"{at}.x", f"{name} {label}", "has no logarithm", "leave the level out by `where` or `keep`"
                )
