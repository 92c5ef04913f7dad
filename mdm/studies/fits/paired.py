"""How far pairs of figures lie apart: mean difference, or geometric mean of ratios, with Student's interval over pairs.

A table holds many such comparisons. Of twenty with nothing in them one leaves its 95% interval by chance, so a difference is only
called one after the correction of Holm (1979) for as many as the table holds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from scipy import stats

from mdm.studies.fits.interval import LEVEL, Interval


class Apart(NamedTuple):
    """interval: of the difference or ratio, None without any pair; count: pairs that could be used; p: of Student's test that
    nothing differs, None where there is no interval."""

    interval: Interval | None
    count: int
    p: float | None


def apart(pairs: Sequence[tuple[float | None, float | None]], *, relative: bool) -> Apart:
    """a - b, or a / b. From a single pair there is no interval, and none from pairs that all differ by the same: they are one
    trial said several times, as of a sampler that draws nothing."""
    values = [(a, b) for a, b in pairs if a is not None and b is not None and (not relative or min(a, b) > 0)]
    if not values:
        return Apart(None, 0, None)
    moved = [math.log(a / b) if relative else a - b for a, b in values]
    back = math.exp if relative else float
    centre, n = math.fsum(moved) / len(moved), len(moved)
    if n == 1 or (centre and not any(m - moved[0] for m in moved)):
        return Apart(Interval(back(centre), None, None), n, None)
    error = math.sqrt(sum((m - centre) ** 2 for m in moved) / (n - 1) / n)
    half = float(stats.t.ppf((1 + LEVEL) / 2, n - 1)) * error
    p = float(2 * stats.t.sf(abs(centre) / error, n - 1)) if error else float(centre == 0)
    return Apart(Interval(back(centre), back(centre - half), back(centre + half)), n, p)


def holm(found: Sequence[Apart]) -> list[bool]:
    """Which of these comparisons differ at 5 %, corrected for how many there are."""
    tested = sorted((own.p, place) for place, own in enumerate(found) if own.p is not None)
    differs = [False] * len(found)
    for number, (p, place) in enumerate(tested):
        if p > (1 - LEVEL) / (len(tested) - number):
            break
        differs[place] = True
    return differs


def told(found: Apart, neutral: float, differs: bool) -> str:
    """For a cell of a table; with a sign if the interval does not hold `neutral`. differs: also after the correction."""
    figure = found.interval
    if figure is None:
        return "no pair"
    if figure.low is None:
        return f"{figure.value:.4g} (no interval) [{found.count}]"
    sign = " ≠" if differs else "" if figure.holds(neutral) else " (≠)"
    return f"{figure.value:.4g} ({figure.low:.3g} to {figure.high:.3g}){sign} [{found.count}]"


def legend(found: Sequence[Apart], neutral: float) -> str:
    """What the signs of a table stand for."""
    count = sum(own.p is not None for own in found)
    return (
        f"≠: differs from {neutral:g}, corrected for the {count} comparisons of this table (Holm, 5 %); "
        "(≠): only where it is looked at alone."
    )
