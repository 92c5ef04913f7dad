"""Finished trials as rows of a table, and their means over seeds."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

SEED = "seed"  # name of the axis that every study has
_ROUNDING = 1e-12


@dataclasses.dataclass(frozen=True)
class Row:
    """A finished trial. levels: axis -> label; metrics: figure -> value, None if it diverged or had too little to tell it."""

    id: str
    levels: Mapping[str, str]
    metrics: Mapping[str, float | None]
    diverged: bool

    def value(self, name: str) -> float | None:
        """Of a figure, or of the label of an axis that is a number."""
        if name in self.levels:
            return float(self.levels[name])
        return self.metrics[name] if name in self.metrics else None  # a result of a version without the figure

    def cell(self, axes: Sequence[str]) -> tuple[str, ...]:
        return tuple(self.levels[axis] for axis in axes)


@dataclasses.dataclass(frozen=True)
class Mean:
    """Over seeds: mean of the finite values, its standard error (None for one), how many they are and how many others."""

    mean: float | None
    error: float | None
    count: int
    others: int

    def told(self, others: str) -> str:
        """others: what is said of trials without the figure"""
        if self.mean is None:
            return others
        told = self.error is not None and self.error > _ROUNDING * abs(self.mean)  # a count is the same for all seeds
        text = f"{self.mean:.5g}" + (f" ± {self.error:.2g}" if told else "")
        return text + (f" ({self.others} {others})" if self.others else "")


def mean(values: Sequence[float | None]) -> Mean:
    finite = [value for value in values if value is not None and math.isfinite(value)]
    lost = len(values) - len(finite)
    if not finite:
        return Mean(None, None, 0, lost)
    centre, n = math.fsum(finite) / len(finite), len(finite)
    error = math.sqrt(sum((v - centre) ** 2 for v in finite) / (n - 1) / n) if n > 1 else None
    return Mean(centre, error, n, lost)


def groups(rows: Sequence[Row], axes: Sequence[str]) -> dict[tuple[str, ...], list[Row]]:
    """Rows by their levels on `axes`, in the order in which these first occur."""
    found: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(row.cell(axes), []).append(row)
    return found


def in_order(rows: Sequence[Row], axes: Sequence[str]) -> dict[tuple[str, ...], list[Row]]:
    """As `groups`, sorted where all labels are numbers."""
    found = groups(rows, axes)
    if not all(is_number(label) for cell in found for label in cell):
        return found
    return dict(sorted(found.items(), key=lambda item: tuple(map(float, item[0]))))


def is_number(label: str) -> bool:
    try:
        return math.isfinite(float(label))
    except ValueError:
        return False
