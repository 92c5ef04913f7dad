"""Noise schedules, as densities of the mask ratio.

With r the share of masked tokens, the negative ELBO of a masked diffusion model is an integral that no schedule enters:

    NELBO = int_0^1 (1/r) E[ sum over masked of -log p ] dr                (MDLM, MD4, SMDM; schedule invariance)

A schedule alpha_t only decides how often each ratio is drawn: p(r) = dt/dr with r = 1 - alpha_t, and the unbiased weight is
1 / (r p(r)). All schedules are cut at a smallest ratio; `left_out` states how much of the integral is then missing.

u is uniform on [0, 1); every function is elementwise and works on NumPy and JAX arrays.
"""

from __future__ import annotations

import dataclasses
import math

import jax.numpy as jnp

from mdm.problems import Problem, Refusal


class Density:
    """p(r) on (0, 1] by its quantile function; subclasses are named after alpha_t."""

    def quantile(self, u):
        """Ratio r below which a share u of the draws falls."""
        raise NotImplementedError

    def cdf(self, r: float) -> float:
        """Share of the draws below r (a Python float: only used to cut the density)."""
        raise NotImplementedError

    def times_ratio(self, r):
        """r p(r), in the form that keeps its precision near r = 0."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class Linear(Density):
    """alpha_t = 1 - t: every ratio alike, weight 1/r."""

    def quantile(self, u):
        return u

    def cdf(self, r):
        return r

    def times_ratio(self, r):
        return r


@dataclasses.dataclass(frozen=True)
class Cosine(Density):
    """alpha_t = 1 - cos(pi/2 (1 - t)), i.e. r = cos(pi/2 (1 - t)): more draws at high ratios (MaskGIT, MD4)."""

    def quantile(self, u):
        return jnp.sin(0.5 * math.pi * u)

    def cdf(self, r):
        return 2 / math.pi * math.asin(r)

    def times_ratio(self, r):
        # 1 - r*r as (1-r)(1+r); the floor is what float32 can tell from 1, where the density is infinite
        return 2 / math.pi * r / jnp.sqrt(jnp.maximum((1 - r) * (1 + r), 1e-12))


@dataclasses.dataclass(frozen=True)
class Polynomial(Density):
    """alpha_t = 1 - t^k, r = t^k: more draws at low ratios for k > 1, at high ones for k < 1."""

    power: float

    def quantile(self, u):
        return u**self.power

    def cdf(self, r):
        return r ** (1 / self.power)

    def times_ratio(self, r):
        return r ** (1 / self.power) / self.power


@dataclasses.dataclass(frozen=True)
class Geometric(Density):
    """alpha_t = exp(-sigma_t) with sigma geometric in t: the logarithm of sigma = -log(1 - r) is uniform (SEDD, MDLM)."""

    least: float = 1e-3
    most: float = 20.0

    def quantile(self, u):
        return -jnp.expm1(-self.least * jnp.exp(u * math.log(self.most / self.least)))

    def cdf(self, r):
        sigma = -math.log1p(-r) if r < 1 else math.inf
        return min(max(math.log(max(sigma, self.least) / self.least) / math.log(self.most / self.least), 0.0), 1.0)

    def times_ratio(self, r):
        sigma = jnp.minimum(-jnp.log1p(-r), self.most)  # log1p: -log of a rounded 1 - r is off by 6e-8 / r
        keep = jnp.maximum(1 - r, math.exp(-self.most))
        return r / (sigma * keep * math.log(self.most / self.least))


@dataclasses.dataclass(frozen=True)
class Schedule:
    """A density cut to [smallest, 1] and renormalised."""

    density: Density
    smallest: float

    @property
    def _below(self) -> float:
        return self.density.cdf(self.smallest)

    def ratio(self, u):
        """The mask ratio at quantile u, float32."""
        return jnp.clip(self.density.quantile(self._below + (1 - self._below) * u), self.smallest, 1.0)

    def weight(self, r):
        """1 / (r p(r)): makes the weighted cross-entropy an unbiased estimate of the NELBO above `smallest`."""
        return (1 - self._below) / self.density.times_ratio(r)

    def left_out(self, loss_at_zero: float) -> float:
        """Nats a maskable token that the estimate misses below `smallest`, if a lone masked token costs `loss_at_zero`.

        (1/r) E[sum over masked] tends to n times that loss as r goes to 0, so the piece is that loss times the smallest ratio
        drawn, which is the density's own where that lies above `smallest` (geometric).
        """
        return max(self.smallest, float(self.density.quantile(0.0))) * loss_at_zero


NAMES = "linear, cosine, polynomial-<power>, geometric, geometric-<least>-<most> with most >= 14"
_LEAST_MOST = 14.0  # a geometric schedule never draws ratios above 1 - exp(-most): 8e-7 of the integral at 14, 5% at 3


def parse(name: str, smallest: float, where: str = "schedule") -> Schedule:
    """The schedule called `name` (one of `NAMES`). Raises Refusal for anything else."""
    kind, *numbers = name.split("-")
    try:
        values = [float(number) for number in numbers]
        density = {"linear": Linear, "cosine": Cosine, "polynomial": Polynomial, "geometric": Geometric}[kind](*values)
        if not 0 < smallest < 1 or not all(0 < value < math.inf for value in values):
            raise ValueError
        if isinstance(density, Geometric) and not density.least < 1 < _LEAST_MOST <= density.most:
            raise ValueError
    except (KeyError, TypeError, ValueError):
        raise Refusal(Problem(where, name, "is not a noise schedule", f"use one of: {NAMES}")) from None
    return Schedule(density, smallest)
