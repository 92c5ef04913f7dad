"""Corruption: which tokens are hidden, and what each hidden token then weighs.

Every draw is keyed by (seed, global row, segment), so it does not depend on the batch, the mesh or the number of hosts.
The mask comes with its weight: nobody downstream needs to know how it was drawn.

    independent    one ratio a segment, every target token masked with that probability, weight 1 / (r p(r))
    complementary  rows 2i and 2i + 1 of a run are the same data row; one hides k of n target tokens, the other the rest,
                   k uniform on 0..n, weights (n+1)/k and (n+1)/(n-k) (the paper's anti-masking, in our exact form)
    fixed count    evaluation: exactly k of n, k stratified on 1..n, weight n/k; no smallest ratio and no missing mass

Letters: B rows, L positions.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from mdm.diffusion import adaptive, schedules
from mdm.diffusion.adaptive import Learned
from mdm.problems import Problem, collecting
from mdm.tokens.rows import CONDITION, TARGET, Batch, Row
from mdm.tokens.tasks import TASK_NAMES, TASKS

# Fractional parts of the golden ratio and of the square root of two, times 2**32: a Kronecker sequence in the row's ordinal
# and the segment's slot. Integer multiplication wraps modulo 2**32, so the fraction stays exact for any ordinal.
_ORDINAL_STEP = 0x9E3779B9
_SLOT_STEP = 0x6A09E667

INDEPENDENT, COMPLEMENTARY = "independent", "complementary"
ADAPTIVE = "adaptive"


@dataclasses.dataclass(frozen=True)
class CorruptionSettings:
    """How training hides tokens.

    mode:           "independent" or "complementary"
    schedule:       name of the schedule of every task that `schedules` does not name; "adaptive" is learnt (see `adaptive`)
    schedules:      task -> schedule name
    smallest_ratio: the density is cut here; the NELBO below it is left out (about smallest_ratio of a lone token's loss)
    condition_drop: probability that a conditional task has its whole condition masked, without loss (trains guidance)
    adaptive_half_life: unique tokens after which a loss weighs half in an adaptive density
    """

    mode: str = INDEPENDENT
    schedule: str = "linear"
    schedules: Mapping[str, str] = dataclasses.field(default_factory=dict)
    smallest_ratio: float = 1e-3
    condition_drop: float = 0.1
    adaptive_half_life: int = 1_000_000

    def problems(self, at: str) -> list[Problem]:
        found = []
        if self.mode not in (INDEPENDENT, COMPLEMENTARY):
            found.append(Problem(f"{at}.mode", self.mode, "unknown", f"use {INDEPENDENT!r} or {COMPLEMENTARY!r}"))
        if not 0 < self.smallest_ratio < 0.5:
            found.append(Problem(f"{at}.smallest_ratio", self.smallest_ratio, "outside (0, 0.5)", "1e-3 is usual"))
        if not 0 <= self.condition_drop < 1:
            found.append(Problem(f"{at}.condition_drop", self.condition_drop, "outside [0, 1)", "0.1 is usual"))
        for key, name in (("schedule", self.schedule), *((f"schedules.{t}", n) for t, n in self.schedules.items())):
            if name == ADAPTIVE and self.mode == INDEPENDENT:
                continue
            with collecting(found):
                schedules.parse(name, 1e-3, f"{at}.{key}")
        if self.adaptive_half_life < 1:
            remedy = "some hundred steps' worth of tokens is usual"
            found.append(Problem(f"{at}.adaptive_half_life", self.adaptive_half_life, "must be positive", remedy))
        for task in self.schedules:
            if task not in TASKS:
                found.append(Problem(f"{at}.schedules", task, "is not a task", f"use one of {TASK_NAMES}"))
        return found

    @property
    def views(self) -> int:
        """How many rows of a run show the same data row."""
        return 2 if self.mode == COMPLEMENTARY else 1

    def schedule_of(self, task: str) -> schedules.Schedule:
        """Of an adaptive one, what it begins as."""
        name = self.name_of(task)
        return schedules.parse("linear" if name == ADAPTIVE else name, self.smallest_ratio)

    def trained_on(self, task: str) -> str:
        """Name of the schedule whose mask ratios the task was shown; of an adaptive one, what it begins as."""
        name = self.name_of(task)
        return "linear" if name == ADAPTIVE or self.mode == COMPLEMENTARY else name

    def is_adaptive(self, task: str) -> bool:
        return self.name_of(task) == ADAPTIVE

    def name_of(self, task: str) -> str:
        """Name of the schedule that is set for the task, which may be the adaptive one."""
        return self.schedules[task] if task in self.schedules else self.schedule


class Corrupted(NamedTuple):
    """What the network sees and what it owes.

    ids:     int32 [B, L], tokens with [MASK] at the hidden ones
    masked:  bool [B, L], hidden and carrying loss
    weights: float32 [B, L], 1 / (r p(r)) or its like at masked positions, 0 elsewhere
    ratios:  float32 [B, L], mask ratio of the position's segment
    dropped: bool [B, L], the position's segment has its condition masked
    """

    ids: jax.Array
    masked: jax.Array
    weights: jax.Array
    ratios: jax.Array
    dropped: jax.Array


def corrupt(
    batch: Batch,
    settings: CorruptionSettings,
    seed: int | jax.Array,
    mask_id: int,
    learned: Learned | None = None,
    points: jax.Array | None = None,
) -> Corrupted:
    """Hides tokens of a training batch as `settings` say. A pure function of (seed, numbers of the batch, rows), and of
    `learned` where a schedule is adaptive; None is what a run begins with.

    points: float32 [B, L] in [0, 1), that each position's segment takes its ratio from; by default evenly spread over a stream
    """
    views = settings.views
    key = jax.random.key(seed)
    rows = batch.rows
    data_row = _divide(batch.number, views)
    scores = row_uniform(jax.random.fold_in(key, 0), data_row, rows.ids.shape[1])
    u = points
    if u is None:
        u = low_discrepancy(jax.random.fold_in(key, 1), batch.stream, batch.ordinal, rows.segments)
    dropped = _dropped(jax.random.fold_in(key, 2), data_row, rows, settings.condition_drop)
    target = rows.roles == TARGET
    if settings.mode == INDEPENDENT:
        ratios, weights = _by_task(rows, settings, u, learned)
        masked = target & (scores < ratios)
    else:
        rank, count = rank_in_segment(scores, rows)
        hidden = jnp.floor(u * (count + 1)).astype(jnp.int32)  # uniform on 0..count, as u < 1
        second = (batch.number[:, 1] % 2 == 1)[:, None]
        masked = target & jnp.where(second, rank >= hidden, rank < hidden)
        shown = jnp.where(second, count - hidden, hidden)
        ratios = shown / jnp.maximum(count, 1)
        weights = (count + 1) / jnp.maximum(shown, 1)
    return _apply(rows, masked, weights, ratios, dropped, mask_id)


def corrupt_fixed_count(
    rows: Row, number: jax.Array, seed: int | jax.Array, sample: int | jax.Array, samples: int, mask_id: int
) -> Corrupted:
    """Hides exactly k of the n target tokens of each segment: draw `sample` of `samples`, k stratified on 1..n.

    `number` uint32 [B, 2] keys the noise (the document's number, so that curves of several checkpoints compare). Over all
    draws every k is equally likely, so the mean of weight * cross-entropy is the NELBO itself, without a smallest ratio.
    """
    key = jax.random.key(seed)
    scores = row_uniform(jax.random.fold_in(jax.random.fold_in(key, 3), sample), number, rows.ids.shape[1])
    offset = row_uniform(
        jax.random.fold_in(key, 4), number, 1
    )  # one for all samples of a document: strata shift together
    rank, count = rank_in_segment(scores, rows)
    u = jnp.minimum((sample + offset) / samples, 1 - 2.0**-24)
    hidden = 1 + jnp.floor(u * count).astype(jnp.int32)
    masked = (rows.roles == TARGET) & (rank < hidden)
    return _apply(
        rows, masked, count / jnp.maximum(hidden, 1), hidden / jnp.maximum(count, 1), jnp.zeros_like(masked), mask_id
    )


def low_discrepancy(key: jax.Array, stream: jax.Array, ordinal: jax.Array, segments: jax.Array) -> jax.Array:
    """float32 [B, L] in [0, 1): the Kronecker point of each position's segment, with one random shift for each stream."""
    shift = jax.vmap(lambda s: jax.random.bits(jax.random.fold_in(key, s)))(stream)
    start = shift + ordinal.astype(jnp.uint32) * jnp.uint32(_ORDINAL_STEP)
    points = start[:, None] + segments.astype(jnp.uint32) * jnp.uint32(_SLOT_STEP)
    return (points >> 8).astype(jnp.float32) * 2.0**-24  # 24 bits: exact in float32, and never 1


def independent_points(key: jax.Array, number: jax.Array, segments: jax.Array) -> jax.Array:
    """float32 [B, L] in [0, 1): a draw of its own for each segment of each row, by the row's number, uint32 [B, 2]."""
    return jnp.take_along_axis(row_uniform(key, number, segments.shape[1]), segments, axis=1, mode="clip")


def rank_in_segment(scores: jax.Array, rows: Row) -> tuple[jax.Array, jax.Array]:
    """Rank of each target position among the targets of its segment by score, and how many there are: int32 [B, L] each.

    The count also stands at the other positions of the row, where it belongs to no segment and must not be used.
    """
    length = scores.shape[1]
    place = jnp.broadcast_to(jnp.arange(length, dtype=jnp.int32), scores.shape)
    group = jnp.where(rows.roles == TARGET, rows.segments, length + 1)
    sorted_group, _, origin = lax.sort((group, scores, place), dimension=1, num_keys=2)
    edge = sorted_group[:, 1:] != sorted_group[:, :-1]
    true = jnp.ones_like(edge[:, :1])
    first = lax.cummax(jnp.where(jnp.concatenate([true, edge], 1), place, 0), axis=1)
    last = lax.cummin(jnp.where(jnp.concatenate([edge, true], 1), place, length), axis=1, reverse=True)
    put = jax.vmap(lambda values, at: jnp.zeros(length, jnp.int32).at[at].set(values, unique_indices=True))
    return put(place - first, origin), put(last - first + 1, origin)


def row_uniform(key: jax.Array, number: jax.Array, length: int) -> jax.Array:
    """float32 [B, length] in [0, 1), row by row from the row's own number, uint32 [B, 2]; a longer row begins with the same."""
    one = lambda words: jax.random.uniform(jax.random.fold_in(jax.random.fold_in(key, words[0]), words[1]), (length,))  # noqa: E731
    return jax.vmap(one)(number)


def _divide(number: jax.Array, views: int) -> jax.Array:
    """uint32 [B, 2] words of the data row that a run row shows."""
    if views == 1:
        return number
    high, low = number[:, 0], number[:, 1]
    return jnp.stack([high // 2, (low // 2) | ((high % 2) << 31)], axis=1)


def _dropped(key: jax.Array, data_row: jax.Array, rows: Row, probability: float) -> jax.Array:
    conditional = jnp.array([bool(task.conditions) for task in TASKS.values()])
    if probability == 0:
        return jnp.zeros(rows.ids.shape, bool)
    return (
        (independent_points(key, data_row, rows.segments) < probability) & conditional[rows.tasks] & (rows.segments > 0)
    )


def _by_task(
    rows: Row, settings: CorruptionSettings, u: jax.Array, learned: Learned | None
) -> tuple[jax.Array, jax.Array]:
    """Ratio and weight of every position by the schedule of its task."""
    schedule = [settings.schedule_of(task) for task in TASK_NAMES]
    distinct = list(dict.fromkeys(schedule))
    choice = jnp.array([distinct.index(s) for s in schedule])[rows.tasks]
    ratios = jnp.stack([s.ratio(u) for s in distinct])
    weights = jnp.stack([s.weight(r) for s, r in zip(distinct, ratios, strict=True)])
    pick = lambda table: jnp.take_along_axis(table, choice[None], axis=0)[0]  # noqa: E731
    own = [settings.is_adaptive(task) for task in TASK_NAMES]
    if learned is None or not any(own):
        return pick(ratios), pick(weights)
    found = adaptive.draw(u, adaptive.masses(learned)[rows.tasks], settings.smallest_ratio)
    return jax.tree.map(lambda a, b: jnp.where(jnp.array(own)[rows.tasks], a, b), found, (pick(ratios), pick(weights)))


def _apply(
    rows: Row, masked: jax.Array, weights: jax.Array, ratios: jax.Array, dropped: jax.Array, mask_id: int
) -> Corrupted:
    hidden = masked | (dropped & (rows.roles == CONDITION))
    return Corrupted(
        ids=jnp.where(hidden, mask_id, rows.ids),
        masked=masked,
        weights=jnp.where(masked, weights, 0.0).astype(jnp.float32),
        ratios=ratios.astype(jnp.float32),
        dropped=dropped,
    )
