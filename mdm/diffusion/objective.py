"""The training objective, and the sums that every report of it is made from.

    loss = sum over masked positions of  w_modality * weight * cross-entropy  /  maskable positions of the logical batch

The denominator counts what could have been masked, not what was: dividing by the masked count would cancel the weight. It
is taken over the whole logical batch before that is cut into micro-batches. Sums and counts are kept apart to the end:
means of means are wrong when counts differ.

Letters: B rows, L positions, T tasks, M modalities, R ratio bins.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp

from mdm.diffusion.corruption import Corrupted
from mdm.diffusion.denoiser import Denoiser
from mdm.problems import Problem
from mdm.tokens.rows import TARGET, Row
from mdm.tokens.tasks import TASK_NAMES
from mdm.tokens.vocabulary import MODALITIES, NO_RANGE, Vocabulary

RATIO_BINS = 10


@dataclasses.dataclass(frozen=True)
class ObjectiveSettings:
    """loss_weights: modality -> factor on its loss (1 where not named); z_loss: coefficient of the mean squared log-sum-exp."""

    loss_weights: Mapping[str, float] = dataclasses.field(default_factory=dict)
    z_loss: float = 1e-4

    def problems(self, at: str) -> list[Problem]:
        found = [
            Problem(f"{at}.loss_weights", modality, "is not a modality", f"use one of {MODALITIES}")
            for modality in self.loss_weights
            if modality not in MODALITIES
        ]
        for modality, value in self.loss_weights.items():
            if not 0 <= value < float("inf"):
                found.append(
                    Problem(f"{at}.loss_weights.{modality}", value, "is not a finite weight >= 0", "1 is usual")
                )
        if not 0 <= self.z_loss < 1:
            found.append(Problem(f"{at}.z_loss", self.z_loss, "outside [0, 1)", "1e-4 is usual, 0 switches it off"))
        return found


class Sums(NamedTuple):
    """What a report divides at the end. Adding two of them gives the sums of both batches.

    elbo:          float32 [T, 2, M], sum of weight * cross-entropy in nats; second index 1: condition dropped
    maskable:      float32 [T, 2, M], target positions
    masked:        float32 [T, 2, M], hidden positions
    bin_nats:      float32 [T, M, R], cross-entropy by mask ratio, unweighted
    bin_masked:    float32 [T, M, R], hidden positions by mask ratio
    """

    elbo: jax.Array
    maskable: jax.Array
    masked: jax.Array
    bin_nats: jax.Array
    bin_masked: jax.Array


def maskable_count(rows: Row) -> jax.Array:
    """float32 scalar: target positions of a batch, the denominator of its loss."""
    return jnp.maximum(jnp.sum(rows.roles == TARGET), 1).astype(jnp.float32)


def masked_count(corrupted: Corrupted) -> jax.Array:
    """float32 scalar: hidden positions of a batch, the denominator of the z-loss."""
    return jnp.maximum(jnp.sum(corrupted.masked), 1).astype(jnp.float32)


def loss(
    denoiser: Denoiser,
    rows: Row,
    corrupted: Corrupted,
    vocabulary: Vocabulary,
    settings: ObjectiveSettings,
    maskable: jax.Array | None = None,
    masked: jax.Array | None = None,
) -> tuple[jax.Array, Sums]:
    """The loss of (part of) a logical batch, differentiable through the denoiser, and its sums.

    maskable, masked: counts over the whole logical batch where `rows` is a part of it; by default those of `rows`.
    """
    maskable = maskable_count(rows) if maskable is None else maskable
    masked = masked_count(corrupted) if masked is None else masked
    hidden = denoiser.hidden(corrupted.ids, rows.segments, rows.positions, rows.ranges)
    chosen = jnp.where(corrupted.masked, rows.ranges, NO_RANGE).astype(jnp.int32)
    weights = corrupted.weights * _modality_weights(rows, vocabulary, settings) / maskable
    total, nats = denoiser.cross_entropy(hidden, rows.ids, chosen, weights, settings.z_loss / masked)
    return total, sums(rows, corrupted, nats, vocabulary)


def sums(rows: Row, corrupted: Corrupted, nats: jax.Array, vocabulary: Vocabulary) -> Sums:
    """Adds the cross-entropies `nats` [B, L] up by task, modality and mask ratio. Never weighted by modality."""
    tasks, modalities = len(TASK_NAMES), len(MODALITIES)
    modality = modality_of(rows, vocabulary)
    cell = (rows.tasks.astype(jnp.int32) * 2 + corrupted.dropped) * modalities + modality
    target = rows.roles == TARGET
    by_cell = _adder(jnp.where(target, cell, tasks * 2 * modalities), tasks * 2 * modalities)
    shape = (tasks, 2, modalities)
    ratio_bin = jnp.minimum((corrupted.ratios * RATIO_BINS).astype(jnp.int32), RATIO_BINS - 1)
    bins = (tasks, modalities, RATIO_BINS)
    cell = (rows.tasks.astype(jnp.int32) * modalities + modality) * RATIO_BINS + ratio_bin
    by_bin = _adder(jnp.where(corrupted.masked, cell, math.prod(bins)), math.prod(bins))
    return Sums(
        elbo=by_cell(corrupted.weights * nats).reshape(shape),
        maskable=by_cell(target.astype(jnp.float32)).reshape(shape),
        masked=by_cell(corrupted.masked.astype(jnp.float32)).reshape(shape),
        bin_nats=by_bin(nats).reshape(bins),
        bin_masked=by_bin(corrupted.masked.astype(jnp.float32)).reshape(bins),
    )


def modality_of(rows: Row, vocabulary: Vocabulary) -> jax.Array:
    """int32 [B, L]: index of each position's modality in MODALITIES; arbitrary where the position has no range."""
    return jnp.array(vocabulary.modality_of_range, jnp.int32)[rows.ranges]


def _modality_weights(rows: Row, vocabulary: Vocabulary, settings: ObjectiveSettings) -> jax.Array:
    factors = [settings.loss_weights[m] if m in settings.loss_weights else 1.0 for m in MODALITIES]
    return jnp.array(factors, jnp.float32)[modality_of(rows, vocabulary)]


def _adder(cell: jax.Array, cells: int):
    """values [B, L] -> [cells], their sums by `cell`; what is filed under `cells` falls away."""
    flat = cell.reshape(-1)
    return lambda values: jax.ops.segment_sum(values.reshape(-1), flat, num_segments=cells + 1)[:cells]


def empty_sums() -> Sums:
    """Sums of no batch at all."""
    cells = jnp.zeros((len(TASK_NAMES), 2, len(MODALITIES)))
    bins = jnp.zeros((len(TASK_NAMES), len(MODALITIES), RATIO_BINS))
    return Sums(cells, cells, cells, bins, bins)
