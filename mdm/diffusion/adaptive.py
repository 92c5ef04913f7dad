"""A density of the mask ratio that is learnt while training: where the loss is large, more draws.

The NELBO is the integral over r of c(r), the mean cross-entropy of a token that is masked at ratio r. An importance sampler of
that integral has least variance with p(r) proportional to the root mean square of what it averages; the running mean of c in
each of R equal bins stands for it (piecewise constant p, our choice). The weight 1 / (r p(r)) is taken from the very density
that was drawn from, and that depends on earlier steps only, so every step is as unbiased as with a fixed schedule. What the rows
of a step hide then depends on the losses before it, no longer on (config, row) alone.

Letters: T tasks, R bins, B rows, L positions.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

FLOOR = (
    0.2  # of the mass is spread evenly: what looked easy is seen again, and no weight exceeds five times the linear one
)


class Learned(NamedTuple):
    """Decaying sums over the steps so far. Part of the state of a run.

    nats:   float32 [T, R], cross-entropy of masked tokens by task and bin of their ratio
    masked: float32 [T, R], how many there were
    """

    nats: jax.Array
    masked: jax.Array


def nothing(tasks: int, bins: int) -> Learned:
    return Learned(jnp.zeros((tasks, bins)), jnp.zeros((tasks, bins)))


def learn(learned: Learned, nats: jax.Array, masked: jax.Array, keep: float) -> Learned:
    """Adds a step's sums [T, R]; `keep` of the older ones stays."""
    return Learned(keep * learned.nats + nats, keep * learned.masked + masked)


def masses(learned: Learned) -> jax.Array:
    """float32 [T, R]: probability of each bin. Unseen bins count as the mean of their task, an unseen task is uniform."""
    seen = learned.masked > 0
    mean = jnp.where(seen, learned.nats / jnp.where(seen, learned.masked, 1.0), 0.0)
    of_task = jnp.sum(mean, axis=1, keepdims=True) / jnp.maximum(jnp.sum(seen, axis=1, keepdims=True), 1)
    mean = jnp.where(
        seen & (of_task > 0), mean, jnp.where(of_task > 0, of_task, 1.0)
    )  # a task without loss: uniform too
    share = mean / jnp.sum(mean, axis=1, keepdims=True)
    return (1 - FLOOR) * share + FLOOR / share.shape[1]


def draw(u: jax.Array, mass: jax.Array, smallest: float) -> tuple[jax.Array, jax.Array]:
    """(ratio, weight), float32 [B, L], of quantiles u [B, L] under the densities mass [B, L, R] on [smallest, 1]."""
    bins = mass.shape[-1]
    upper = jnp.cumsum(mass, axis=-1)
    number = jnp.minimum(jnp.sum(u[..., None] >= upper, axis=-1), bins - 1)
    pick = lambda table: jnp.take_along_axis(table, number[..., None], axis=-1)[..., 0]  # noqa: E731
    own = pick(mass)
    inside = jnp.clip((u - (pick(upper) - own)) / own, 0.0, 1.0)
    ratio = smallest + (1 - smallest) * (number + inside) / bins
    return ratio, (1 - smallest) / (ratio * own * bins)
