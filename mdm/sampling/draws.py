"""Draws: what a call of the network says about every position that may be written, and a symbol drawn for each.

Letters: B rows, L positions, C positions of one range, D width, V symbols of a range.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from mdm.diffusion.denoiser import Denoiser
from mdm.sampling.certainty import Measure, log_prob
from mdm.sampling.guidance import guide
from mdm.sampling.tokens import TokenRule, draw, gumbel
from mdm.tokens.vocabulary import OutputRange, Vocabulary

LOGITS_AT_ONCE = 1 << 24  # of float32, 64 MiB an array: a row of 3,072 positions over 100,000 symbols is 1.2 GB


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


def draw_all(
    denoiser: Denoiser,
    hidden: jax.Array,
    wanted: jax.Array,
    ranges: jax.Array,
    counts: tuple[int, ...],
    keys: jax.Array,
    vocabulary: Vocabulary,
    rule: TokenRule,
    measure: Measure,
    scale: jax.Array | None,
) -> Draws:
    """A draw for every wanted position over its own range; the others hold zeros, or anything.

    hidden: [B, L, D], or [2B, L, D] of `guidance.both_branches` with `scale` float32 [B]; None is no guidance
    wanted: bool [B, L]; ranges: int8 [B, L]; counts: of each range, the most positions that a row can want
    keys:   [B]
    """
    draws = no_draws(wanted.shape)
    for number, count in enumerate(counts):
        if count:
            own = vocabulary.ranges[number]
            size = _at_once(count, len(keys), own.size)
            law = functools.partial(_draw_part, denoiser, hidden, number, own, rule, measure, scale, keys)
            draws = _in_parts(law, wanted & (ranges == number), size, draws)
    return draws


def _at_once(count: int, rows: int, symbols: int) -> int:
    """How many positions of each row are drawn together. A quarter of the most, since few of them are still masked towards the
    end; fewer where the logits of many rows over many symbols would fill the memory."""
    return max(1, min(max(-(-count // 4), 16), count, LOGITS_AT_ONCE // (rows * symbols)))


def _in_parts(law: Callable[[jax.Array], Draws], wanted: jax.Array, size: int, draws: Draws) -> Draws:
    """`draws` with those of the `wanted` positions (bool [B, L]), made by `law` for `size` positions of each row at a time: as
    often as the row that wants most needs. law: places int32 [B, size] -> draws [B, size]."""
    length = wanted.shape[1]
    totals = jnp.sum(wanted, axis=1, dtype=jnp.int32)
    order = jnp.argsort(~wanted, axis=1, stable=True).astype(jnp.int32)  # the wanted ones first
    order = jnp.pad(order, ((0, 0), (0, -length % size)))

    def draw_next(state: tuple[jax.Array, Draws]) -> tuple[jax.Array, Draws]:
        start, draws = state
        place = lax.dynamic_slice_in_dim(order, start, size, axis=1)
        own = start + jnp.arange(size) < totals[:, None]
        to = jnp.where(own, place, length)  # beyond the row: dropped
        put = jax.vmap(lambda whole, at, part: whole.at[at].set(part, mode="drop"))
        return start + size, jax.tree.map(lambda whole, part: put(whole, to, part), draws, law(place))

    return lax.while_loop(lambda state: state[0] < jnp.max(totals), draw_next, (jnp.int32(0), draws))[1]


def _draw_part(
    denoiser: Denoiser,
    hidden: jax.Array,
    number: int,
    own: OutputRange,
    rule: TokenRule,
    measure: Measure,
    scale: jax.Array | None,
    keys: jax.Array,
    place: jax.Array,
) -> Draws:
    """Draws [B, C] at the places int32 [B, C] of one range."""
    there = place if scale is None else jnp.concatenate([place, place])
    logits = denoiser.logits(jnp.take_along_axis(hidden, there[..., None], axis=1), number).astype(jnp.float32)
    logits = logits if scale is None else guide(logits, scale)
    return _draw_range(logits, _fold_each(keys, place), own, rule, measure)


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
