"""Where a loss is lowest over a setting that acts by its factors: a parabola in log2 of the setting."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from mdm.problems import Problem, Refusal
from mdm.studies.fits import linear
from mdm.studies.fits.interval import DRAWS, LEVEL, Interval, interval

LEAST = 3  # settings; fewer do not make a parabola
_ROUNDED = 1e-4  # octaves: labels, from which settings are read, have six digits


@dataclasses.dataclass(frozen=True)
class Optimum:
    """best:         setting with the lowest loss
    lowest:       loss there
    curvature:    rise of the loss at a factor of two from the best
    fitted:       lowest and highest setting that were fitted
    points:       that were fitted; left_out: not finite, or too far from the lowest
    reservations: why the figure should not be taken at its word; empty if the data determine it
    """

    best: Interval
    lowest: float
    curvature: float
    fitted: tuple[float, float]
    points: int
    left_out: int
    reservations: tuple[str, ...]
    coefficients: tuple[float, float, float]

    @property
    def determined(self) -> bool:
        return not self.reservations

    def at(self, x: np.ndarray) -> np.ndarray:
        """Loss of the parabola at settings x."""
        return np.polyval(self.coefficients, np.log2(x))


def optimum(
    x: Sequence[float], y: Sequence[float | None], octaves: float = math.inf, seed: int = 0, where: str = "parabola"
) -> Optimum:
    """Fits y = c0 log2(x)^2 + c1 log2(x) + c2 by least squares.

    x:       settings, positive, each as often as it was tried; y: losses, None or not finite where a run diverged
    octaves: settings further from the one with the lowest mean loss are left out: far away no loss is a parabola
    Raises Refusal for settings that are not positive, or fewer than three that are left.
    """
    settings, losses = np.asarray(x, float), np.asarray([math.nan if v is None else v for v in y], float)
    if not (settings > 0).all():
        raise Refusal(
            Problem(where, float(settings.min()), "is not positive", "a parabola in log2 needs positive ones")
        )
    found = np.isfinite(losses)
    if found.any():
        tried = np.unique(settings[found])
        means = [losses[found & (settings == value)].mean() for value in tried]
        found &= np.abs(np.log2(settings / tried[int(np.argmin(means))])) <= octaves + _ROUNDED
    tried = np.unique(settings[found])
    if len(tried) < LEAST:
        reason = f"{len(tried)} of them gave a loss that can be fitted; a parabola needs {LEAST}"
        raise Refusal(Problem(where, tuple(map(float, np.unique(settings))), reason, "add levels"))
    octave = np.log2(settings[found])
    centre = octave.mean()
    design = np.vander(octave - centre, 3)
    (a, b, c), draws = linear.fit(design, losses[found], DRAWS, seed)
    reservations = []
    if a <= 0:
        reservations.append("the loss has no lowest point: it bends down, not up")
        best = Interval(
            float(tried[int(np.argmin([losses[found & (settings == v)].mean() for v in tried]))]), None, None
        )
    else:
        best = _best(-b / (2 * a) + centre, draws, centre)
        if not tried[0] <= best.value <= tried[-1]:
            reservations.append(f"the best lies outside of what was tried ({tried[0]:.3g} to {tried[-1]:.3g})")
        if draws is None:
            reservations.append("there are no more points than coefficients: no interval")
        elif best.low is None:
            reservations.append(f"more than {100 * (1 - LEVEL):.0f} % of the draws have no lowest point")
        elif best.low < tried[0] or best.high > tried[-1]:
            reservations.append("the interval reaches beyond what was tried")
    coefficients = (a, b - 2 * a * centre, a * centre**2 - b * centre + c)
    lowest = float(np.polyval(coefficients, math.log2(best.value)))
    points = int(found.sum())
    return Optimum(
        best=best,
        lowest=lowest,
        curvature=float(a),
        fitted=(float(tried[0]), float(tried[-1])),
        points=points,
        left_out=len(losses) - points,
        reservations=tuple(reservations),
        coefficients=tuple(map(float, coefficients)),
    )


def _best(octave: float, draws: np.ndarray | None, centre: float) -> Interval:
    # 2**1024 is no float: where the loss is almost flat, its lowest point is anywhere.
    setting = float(2.0 ** np.clip(octave, -1000, 1000))
    if draws is None:
        return Interval(setting, None, None)
    bends_up = draws[:, 0] > 0
    if bends_up.mean() < LEVEL:
        return Interval(setting, None, None)
    own = draws[bends_up]
    ends = interval(octave, centre - own[:, 1] / (2 * own[:, 0]))
    low, high = (float(2.0 ** np.clip(end, -1000, 1000)) for end in (ends.low, ends.high))
    return Interval(setting, low, high)
