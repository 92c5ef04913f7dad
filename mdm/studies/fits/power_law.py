"""A power law y = a x^b: a straight line in the logarithms."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from mdm.problems import Problem, Refusal
from mdm.studies.fits import linear
from mdm.studies.fits.interval import DRAWS, Interval, interval

LEAST = 3  # values of x: two always lie on a power law


@dataclasses.dataclass(frozen=True)
class PowerLaw:
    """factor, exponent: a and b of y = a x^b; scatter: standard deviation of the residuals of ln y; points: that were fitted."""

    factor: Interval
    exponent: Interval
    scatter: float
    points: int

    @property
    def reservations(self) -> tuple[str, ...]:
        """Why the figures should not be taken at their word."""
        if self.exponent.holds(0.0):
            return ("the interval of the exponent holds 0: no trend is shown",)
        return ()

    def at(self, x: np.ndarray) -> np.ndarray:
        return self.factor.value * np.asarray(x, float) ** self.exponent.value


def power_law(x: Sequence[float], y: Sequence[float | None], seed: int = 0, where: str = "power law") -> PowerLaw:
    """Fits ln y = ln a + b ln x by least squares. Points without a finite y are left out.

    Raises Refusal for values that are not positive, or fewer than three different x.
    """
    points = [(u, v) for u, v in zip(x, y, strict=True) if v is not None and np.isfinite(v)]
    if len({u for u, _ in points}) < LEAST:
        reason = f"{len({u for u, _ in points})} different values; a power law needs {LEAST}"
        raise Refusal(Problem(where, None, reason, "add levels"))
    if min(min(point) for point in points) <= 0:
        raise Refusal(Problem(where, min(points, key=min), "is not positive", "a power law needs positive values"))
    u, v = np.log(np.asarray(points, float)).T
    centre = u.mean()
    (b, c), draws = linear.fit(np.vander(u - centre, 2), v, DRAWS, seed)
    constant = None if draws is None else np.exp(draws[:, 1] - draws[:, 0] * centre)
    scatter = float(np.sqrt(np.square(v - c - b * (u - centre)).sum() / (len(u) - 2)))
    return PowerLaw(
        interval(float(np.exp(c - b * centre)), constant),
        interval(float(b), None if draws is None else draws[:, 0]),
        scatter,
        len(points),
    )
