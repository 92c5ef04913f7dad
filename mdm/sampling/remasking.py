"""Remasking: what has been written is masked again now and then, so that it can be written better.

The ReMDM family (Wang et al. 2025, arXiv 2503.00307). A step from mask ratio t to s < t masks a written position again with
probability sigma <= s / (1 - t), and keeps a masked one masked with probability (s - sigma (1 - t)) / t: the share that is
masked stays what the grid says, and any trained network can be used.

    cap        sigma = min(eta, its most)                                                (section 4.1)
    rescale    sigma = eta times its most
    conf       as rescale on average, but in proportion to exp(-probability that the symbol had when it was written). In the
               paper these weights sum to 1 over a row, so that less than one position a step is masked again; here they
               average 1 over the written positions, so that eta means the same at every length

Each may be at work in a part of the time only, as in cap-0-0.55: in steps that begin at a time t with 0 < t <= 0.55, where t
falls evenly from 1 to 0 over the steps, whatever the grid says. The paper (section 4.2) has two such ways:

    switch     <name>-0-<t_switch>: from t_switch on
    loop       <name>-<t_off>-<t_on> on the grid loop-<t_on>-<t_off>-<alpha> (`grids`), which stands still meanwhile: what a step
               uncovers it also masks, on average. The paper's: cap-0.05-0.55 on loop, eta 0.02 to 0.04, nucleus 0.9

A corrector (predictor-corrector) follows every step but the last: it masks a share of what is written and lets the order
write as many positions again, with a network call of its own.

Both touch only what the sampler wrote in the block at hand. Of an end only the first END of its span may be opened: one behind
another END would be closed again at once. A length thus grows and shrinks from its end.

Letters: B rows, L positions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mdm.problems import Problem, Refusal
from mdm.sampling.ends import Ends, behind_an_end
from mdm.sampling.orders import per_row

NONE, CONF = "none", "conf"
REMASKS: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {
    NONE: lambda most, eta: np.zeros_like(most),
    "cap": lambda most, eta: np.minimum(eta, most),
    "rescale": lambda most, eta: eta * most,
    CONF: lambda most, eta: eta * most,
}
"""The largest sigma of each step and eta -> sigma."""


class Remask(NamedTuple):
    """law: one of `REMASKS`, at work in steps that begin at a time in (low, high]."""

    law: str
    low: float = 0.0
    high: float = 1.0


NAMES = f"{', '.join(REMASKS)}; in a part of the time, as in cap-0-0.55, <name>-<low>-<high> with 0 <= low < high <= 1"


def parse_remask(name: str, where: str = "remask") -> Remask:
    """`NONE`, or another of `REMASKS` with or without a part of the time. Raises Refusal for any other name."""
    law, *bounds = name.split("-")
    try:
        if law not in REMASKS or len(bounds) not in ((0,) if law == NONE else (0, 2)):
            raise ValueError
        own = Remask(law, *map(float, bounds))
        if not 0 <= own.low < own.high <= 1:
            raise ValueError
    except ValueError:
        raise Refusal(Problem(where, name, "is no way of masking again", f"use one of {NAMES}")) from None
    return own


def sigmas(remask: str, eta: float, shares: np.ndarray) -> np.ndarray:
    """float64 [steps]: the probability with which each step of a grid masks a written position again. shares: `grids.ratios`."""
    own, steps = parse_remask(remask), len(shares) - 1
    before, after = shares[:-1], shares[1:]
    most = np.minimum(1.0, after / np.maximum(1 - before, 1e-12))
    time = np.arange(steps, 0, -1) / steps
    return np.where((own.low < time) & (time <= own.high), REMASKS[own.law](most, eta), 0.0)


def kept(shares: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """float64 [steps]: the probability with which each step keeps a masked position masked."""
    before, after = shares[:-1], shares[1:]
    return np.clip((after - sigma * (1 - before)) / before, 0.0, 1.0)


def reopen(written: jax.Array, probability: jax.Array, keys: jax.Array) -> jax.Array:
    """bool [B, L]: each of the `written` positions with its probability (float32 [], or [B, L])."""
    return written & (per_row(jax.random.uniform, keys, written.shape[1]) < probability)


def may_reopen(own: jax.Array, ids: jax.Array, masked: jax.Array, ends: Ends) -> jax.Array:
    """bool [B, L]: the written ones of the sampler's `own` positions, but for what stands behind an END of its span."""
    return own & ~masked & ~behind_an_end(ends, ids, masked)


def by_confidence(written: jax.Array, log_prob: jax.Array) -> jax.Array:
    """float32 [B, L]: weights exp(-probability), of mean 1 over the written positions of a row."""
    weight = jnp.where(written, jnp.exp(-jnp.exp(log_prob)), 0.0)
    mean = jnp.sum(weight, axis=1, keepdims=True) / jnp.maximum(jnp.sum(written, axis=1, keepdims=True), 1)
    return weight / jnp.maximum(mean, 1e-30)
