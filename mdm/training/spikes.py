"""Loss spikes: a loss far above those before it."""

from __future__ import annotations

import math

_HALF_LIFE = 100  # steps
_WARMUP = 50  # steps that are only looked at: the loss falls fast, and little is known of its spread


class Spikes:
    """Running mean and deviation of the losses of single steps.

    deviations: above the mean, from which a loss is a spike; 0: none is
    """

    def __init__(self, deviations: float):
        self._deviations = deviations
        self._count, self._mean, self._square = 0, 0.0, 0.0

    def look(self, loss: float) -> float | None:
        """How many deviations `loss` lies above the mean if it is a spike. A spike counts as one that lies at the bound: a new
        level becomes the usual one, and one outlier does not hide the next."""
        if not self._deviations or not math.isfinite(loss):
            return None
        self._count += 1
        deviation = math.sqrt(max(self._square, 1e-12))
        above = (loss - self._mean) / deviation
        spike = self._count > _WARMUP and above > self._deviations
        seen = self._mean + self._deviations * deviation if spike else loss
        pull = max(1 / self._count, 1 - 0.5 ** (1 / _HALF_LIFE))
        away = seen - self._mean
        self._mean += pull * away
        self._square = (1 - pull) * (self._square + pull * away * away)
        return above if spike else None
