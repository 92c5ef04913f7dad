"""The scatter of the gradient under each way to hide tokens, at equal compute: as many rows through the network for each.

For two independent draws g and h of an estimator, |g - h|^2 / 2 is an unbiased estimate of the trace of its covariance and g . h
one of the squared norm of its mean, so a mean over pairs of draws is both, with a standard error from the pairs.

    plain            one ratio a segment, each drawn on its own, also those of one packed row
    low-discrepancy  ratios of a stream's rows and segments spread evenly: "independent" as it is trained with
    complementary    half as many data rows, each in two views that hide the opposite
    adaptive         low-discrepancy, with the density that the losses of these very rows suggest

plain and low-discrepancy keep the run's schedules. Where one of those is adaptive they take the linear one, that it begins as:
with a density that was learnt they would be the last estimator again.

Letters: B rows of a batch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from mdm.diffusion import adaptive, objective
from mdm.diffusion.corruption import (
    ADAPTIVE,
    COMPLEMENTARY,
    INDEPENDENT,
    CorruptionSettings,
    corrupt,
    independent_points,
)
from mdm.diffusion.objective import ObjectiveSettings
from mdm.model.network import Network, Parameters
from mdm.tokens.hashing import mix
from mdm.tokens.rows import Batch
from mdm.tokens.tasks import TASK_NAMES
from mdm.training.gradient import loss_and_gradient

PLAIN = "plain"
ESTIMATORS = (PLAIN, "low-discrepancy", COMPLEMENTARY, ADAPTIVE)


@dataclasses.dataclass(frozen=True)
class Scatter:
    """Of one estimator, over the pairs: arrays [pairs].

    total:   half the squared distance of gradients of other rows, hidden by other draws
    masking: likewise, of the same rows
    signal:  product of the first two: its mean is the squared norm of the mean gradient
    """

    total: np.ndarray
    masking: np.ndarray
    signal: np.ndarray


class _Pair(NamedTuple):
    total: jax.Array
    masking: jax.Array
    signal: jax.Array


def gradient_noise(
    network: Network,
    parameters: Parameters,
    corruption: CorruptionSettings,
    settings: ObjectiveSettings,
    batches: Iterator[Batch],
    pairs: int,
    seed: int = 0,
) -> dict[str, Scatter]:
    """The scatter of each estimator of `ESTIMATORS` at `parameters`.

    corruption: of the run; all estimators share its smallest ratio and condition drop
    batches:    of data rows, B of them, even; 3 `pairs` batches are read
    """

    def gradient(estimator, learned, parameters, batch, seed):
        own, shown = _settings(estimator, corruption), _shown(estimator, batch)
        corrupted = corrupt(shown, own, seed, network.vocabulary.mask, learned, _points(estimator, shown, seed))
        return loss_and_gradient(network, settings, parameters, shown.rows, corrupted)

    @jax.jit
    def losses(learned, parameters, batch, seed):
        (_, sums), _ = gradient("low-discrepancy", learned, parameters, batch, seed)
        return adaptive.learn(learned, sums.bin_nats.sum(axis=1), sums.bin_masked.sum(axis=1), 1.0)

    def pair(estimator, learned, parameters, first, second, seed):
        batches = jax.tree.map(lambda a, b: jnp.stack([a, b, a]), first, second)
        seeds = jnp.stack([2 * seed, 2 * seed + 1, 2 * seed + 1])
        # A loop, so that the gradient is compiled once.
        drawn = lax.map(lambda draw: gradient(estimator, learned, parameters, *draw)[1], (batches, seeds))
        g, other, again = (jax.tree.map(lambda x: x[number], drawn) for number in range(3))  # noqa: B023
        return _Pair(_distance(g, other) / 2, _distance(g, again) / 2, optax.tree.vdot(g, other))

    pair = jax.jit(pair, static_argnums=0)
    learned = adaptive.nothing(len(TASK_NAMES), objective.RATIO_BINS)
    seed = _of_its_own(parameters, seed)
    # Seeds of their own for each pair: within one, the evenly spread ratios of two batches would not be independent draws.
    for number in range(pairs):
        learned = losses(learned, parameters, next(batches), jnp.uint32(seed + number))
    found = {name: [] for name in ESTIMATORS}
    for number in range(pairs):
        first, second = next(batches), next(batches)
        for name in ESTIMATORS:
            own = jnp.uint32(seed + pairs + number)
            found[name].append(jax.device_get(pair(name, learned, parameters, first, second, own)))
    return {name: Scatter(*map(np.array, zip(*own, strict=True))) for name, own in found.items()}


def _of_its_own(parameters: Parameters, seed: int) -> int:
    """Draws of their own for each network: a rare draw of much noise would else be in all of several trials, and their interval
    would not know it."""
    return int(mix(seed, int(np.asarray(optax.tree.norm(parameters), np.float32).view(np.uint32)))) >> 33


def _settings(estimator: str, corruption: CorruptionSettings) -> CorruptionSettings:
    if estimator == COMPLEMENTARY:
        return dataclasses.replace(corruption, mode=COMPLEMENTARY, schedule="linear", schedules={})
    if estimator == ADAPTIVE:
        return dataclasses.replace(corruption, mode=INDEPENDENT, schedule=ADAPTIVE, schedules={})
    fixed = lambda name: "linear" if name == ADAPTIVE else name  # noqa: E731
    by_task = {task: fixed(name) for task, name in corruption.schedules.items()}
    return dataclasses.replace(corruption, mode=INDEPENDENT, schedule=fixed(corruption.schedule), schedules=by_task)


def _points(estimator: str, batch: Batch, seed: jax.Array) -> jax.Array | None:
    """[B, L] that ratios are taken from; None: evenly spread."""
    if estimator != PLAIN:
        return None
    # A key that `corrupt` makes nothing else from.
    return independent_points(jax.random.fold_in(jax.random.key(seed), 5), batch.number, batch.rows.segments)


def _shown(estimator: str, batch: Batch) -> Batch:
    """The batch as an estimator wants it, B rows."""
    if estimator != COMPLEMENTARY:
        return batch
    half = jax.tree.map(lambda x: jnp.repeat(x[: x.shape[0] // 2], 2, axis=0), batch)
    high, low = half.number[:, 0], half.number[:, 1]
    view = jnp.arange(high.shape[0], dtype=low.dtype) % 2
    return half._replace(number=jnp.stack([(high << 1) | (low >> 31), (low << 1) | view], axis=1))


def _distance(a: Parameters, b: Parameters) -> jax.Array:
    difference = jax.tree.map(jnp.subtract, a, b)
    return optax.tree.vdot(difference, difference)
