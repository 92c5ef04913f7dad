"""Draws: what a call of the network says about every position that may be written, and a symbol drawn for each.

Letters: B rows, L positions, C positions of one range, D width, V symbols of a range.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from mdm.diffusion.denoiser import Denoiser
from mdm.sampling.certainty import Measure, log_prob
from mdm.sampling.guidance import guide
from mdm.sampling.tokens import TokenRule, draw, gumbel
from mdm.tokens.rows import Row
from mdm.tokens.vocabulary import OutputRange, Vocabulary


class Gather(NamedTuple):
    """Positions of one output range. place: int32 [B, C]; own: bool [B, C], False where a row has fewer than C."""

    number: int
    place: jax.Array
    own: jax.Array


class Draws(NamedTuple):
    """For each position, [B, L] each: an id, its log-probability, the order's certainty; and the same with END ruled
    out."""

    tokens: jax.Array
    log_prob: jax.Array
    certainty: jax.Array
    codes: jax.Array
    code_log_prob: jax.Array
    code_certainty: jax.Array


def no_draws(shape: tuple[int, int]) -> Draws:
    zero, none = jnp.zeros(shape, jnp.float32), jnp.zeros(shape, jnp.int32)
    return Draws(none, zero, zero, none, zero, zero)


def gather(rows: Row, chosen: jax.Array, counts: tuple[int, ...]) -> tuple[Gather, ...]:
    """Where the `chosen` positions (bool [B, L]) of each range stand, at most counts[range] a row; ranges of no positions are
    left out."""
    gathers = []
    for number, count in enumerate(counts):
        if count:
            own = chosen & (rows.ranges == number)
            place = jnp.argsort(~own, axis=1, stable=True)[:, :count].astype(jnp.int32)
            gathers.append(Gather(number, place, jnp.take_along_axis(own, place, axis=1)))
    return tuple(gathers)


def draw_all(
    denoiser: Denoiser,
    hidden: jax.Array,
    gathers: tuple[Gather, ...],
    keys: jax.Array,
    vocabulary: Vocabulary,
    rule: TokenRule,
    measure: Measure,
    scale: jax.Array | None,
) -> Draws:
    """A draw for every gathered position over its own range; the other positions hold zeros.

    hidden: [B, L, D], or [2B, L, D] of `guidance.both_branches` with `scale` float32 [B]; None is no guidance
    keys:   [B]
    """
    shape = keys.shape[0], hidden.shape[1]
    draws = no_draws(shape)
    for number, place, own in gathers:
        there = place if scale is None else jnp.concatenate([place, place])
        logits = denoiser.logits(jnp.take_along_axis(hidden, there[..., None], axis=1), number).astype(jnp.float32)
        logits = logits if scale is None else guide(logits, scale)
        of_range = _draw_range(logits, _fold_each(keys, place), vocabulary.ranges[number], rule, measure)
        to = jnp.where(own, place, shape[1])  # beyond the row: dropped
        put = jax.vmap(lambda whole, at, part: whole.at[at].set(part, mode="drop"))
        draws = jax.tree.map(lambda whole, part, to=to, put=put: put(whole, to, part), draws, of_range)
    return draws


def _draw_range(logits: jax.Array, keys: jax.Array, own: OutputRange, rule: TokenRule, measure: Measure) -> Draws:
    """Logits [B, C, V] and keys [B, C] -> draws [B, C]. With and without END the noise is the same."""
    noise = gumbel(keys, own.size) if rule.temperature > 0 else None
    drawn = _drawn(logits, noise, rule, measure, own.start)
    if not own.has_end:
        return Draws(*drawn, *drawn)
    return Draws(
        *drawn, *_drawn(logits[..., :-1], noise if noise is None else noise[..., :-1], rule, measure, own.start)
    )


def _drawn(logits: jax.Array, noise: jax.Array | None, rule: TokenRule, measure: Measure, start: int):
    """(ids, log-probabilities, certainties) [B, C]. Temperature and truncation choose symbols, not the order in which
    positions are uncovered."""
    symbols, laws = draw(logits, noise, rule), jax.nn.log_softmax(logits, axis=-1)
    return symbols + start, log_prob(laws, symbols), measure(laws, symbols)


def _fold_each(keys: jax.Array, place: jax.Array) -> jax.Array:
    """Keys [B] and positions [B, C] -> keys [B, C]."""
    return jax.vmap(lambda key, at: jax.vmap(lambda one: jax.random.fold_in(key, one))(at))(keys, place)
