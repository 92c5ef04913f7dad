"""How far pairs of figures lie apart: mean difference, or geometric mean of ratios, with Student's interval over pairs."""

from __future__ import annotations

import math
from collections.abc import Sequence

from scipy import stats

from mdm.studies.fits.interval import LEVEL, Interval


def apart(pairs: Sequence[tuple[float | None, float | None]], *, relative: bool) -> tuple[Interval | None, int]:
    """(a - b, or a / b, with its interval; pairs that could be used). None without any pair; no interval from a single one."""
    values = [(a, b) for a, b in pairs if a is not None and b is not None and (not relative or min(a, b) > 0)]
    if not values:
        return None, 0
    moved = [math.log(a / b) if relative else a - b for a, b in values]
    back = math.exp if relative else float
    centre, n = math.fsum(moved) / len(moved), len(moved)
    if n == 1:
        return Interval(back(centre), None, None), 1
    error = math.sqrt(sum((m - centre) ** 2 for m in moved) / (n - 1) / n)
    half = float(stats.t.ppf((1 + LEVEL) / 2, n - 1)) * error
    return Interval(back(centre), back(centre - half), back(centre + half)), n


def told(found: Interval | None, count: int, neutral: float) -> str:
    """For a cell of a table; with a sign if the interval does not hold `neutral`."""
    if found is None:
        return "no pair"
    if found.low is None:
        return f"{found.value:.4g} (no interval) [{count}]"
    sign = "" if found.holds(neutral) else " ≠"
    return f"{found.value:.4g} ({found.low:.3g} to {found.high:.3g}){sign} [{count}]"
