"""A fitted figure with its interval, and whether the data determine it."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

LEVEL = 0.95
DRAWS = 2000  # the ends of a 95% interval then lie on 50 draws each


@dataclasses.dataclass(frozen=True)
class Interval:
    """value: of the best fit; low, high: ends of its 95% interval, infinite or None where the data do not give them."""

    value: float
    low: float | None
    high: float | None

    @property
    def factor(self) -> float:
        """high / low, for a positive figure; infinite if the interval reaches zero or has no end."""
        if self.low is None or self.high is None or not self.low > 0:
            return math.inf
        return self.high / self.low

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"{self.value:.4g} (no interval)"
        return f"{self.value:.4g} ({self.low:.4g} to {self.high:.4g})"

    def holds(self, value: float) -> bool:
        return self.low is not None and self.high is not None and self.low <= value <= self.high


def interval(value: float, draws: np.ndarray | None) -> Interval:
    """From draws [n] of the figure; None: there are none."""
    if draws is None:
        return Interval(value, None, None)
    tail = 100 * (1 - LEVEL) / 2
    # A percentile between a number and infinity is not a number unless it is one of the draws.
    low, high = np.percentile(draws, [tail, 100 - tail], method="nearest")
    return Interval(value, float(low), float(high))
