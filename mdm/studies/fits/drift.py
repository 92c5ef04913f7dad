"""How the best of a setting moves with something else: one parabola in log2 of the setting, whose place moves as a power.

With y = a (u - c - e t)^2 + h_t, where u is log2 of the setting, t of what moves it and h_t a height of each t, the coefficients
of u^2, u and t u are linear and e is a ratio of two of them. All levels share the curvature, so levels whose own parabola is not
determined still count.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from mdm.problems import Problem, refuse_if
from mdm.studies.fits import linear
from mdm.studies.fits.interval import DRAWS, LEVEL, Interval, interval


@dataclasses.dataclass(frozen=True)
class Drift:
    """exponent: e of best x = b by^e; points: that were fitted; reservations: why the figure should not be taken at its word"""

    exponent: Interval
    points: int
    reservations: tuple[str, ...]


def drift(x: Sequence[float], by: Sequence[float], y: Sequence[float], seed: int = 0, where: str = "drift") -> Drift:
    """x, by: positive; y: finite losses.

    Raises Refusal for too few settings or levels.
    """
    u, t, loss = np.log2(np.asarray(x, float)), np.log2(np.asarray(by, float)), np.asarray(y, float)
    levels = np.unique(t)
    u, centred = u - u.mean(), t - t.mean()
    design = np.stack([u**2, centred * u, u, *(t == level for level in levels)], axis=1).astype(float)
    if len(levels) < 2 or np.linalg.matrix_rank(design) < design.shape[1]:
        reason = f"{len(np.unique(x))} settings at {len(levels)} levels do not make a parabola that moves"
        refuse_if([Problem(where, None, reason, "add levels")])
    # A ratio of two coefficients has long tails: their ends take more draws to stand still.
    (a, moved, *_), draws = linear.fit(design, loss, 20 * DRAWS, seed)
    value = float(-moved / (2 * a))
    if draws is None:
        return Drift(Interval(value, None, None), len(loss), ("there are no more points than coefficients",))
    up = draws[:, 0] > 0
    if a <= 0 or up.mean() < LEVEL:
        reason = f"it bends down in {1 - up.mean():.0%} of the draws: the place of its lowest point is not determined"
        return Drift(Interval(value, None, None), len(loss), (reason,))
    return Drift(interval(value, -draws[up, 1] / (2 * draws[up, 0])), len(loss), ())
