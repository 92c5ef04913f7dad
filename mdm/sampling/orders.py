"""Orders: which masked positions are uncovered at a step.

    ancestral    each with probability (r_t - r_s) / r_t, blind to what was drawn: samples of the model, up to what
                 the step size leaves out (MD4, MDLM)
    random       an exact count, blind to what was drawn: with one position a step, exact samples of the model,
                 whatever the grid (first-hitting without its idle steps; Zheng et al. 2024)
    confidence   an exact count of the likeliest draws, with Gumbel noise annealed to 0 (MaskGIT, LLaDA): not samples
                 of the model, but good ones in few steps

An order maps the state of a step to a choice. Counts are kept by rank, never by a threshold, so ties uncover no more.

Letters: B rows, L positions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from mdm.sampling.ends import Ends, not_before_its_text
from mdm.sampling.grids import remaining


class Step(NamedTuple):
    """What an order may look at.

    masked:   bool [B, L], the positions it may choose from
    tokens:   int32 [B, L], ids drawn for them in this step
    log_prob: float32 [B, L], the model's log-probability of `tokens`
    keep:     float32 scalar, share of the masked positions that the grid keeps masked, r_s / r_t; 0 at the last step
    left:     float32 scalar, share of the steps still to come after this one; 0 at the last
    noise:    factor of the annealed noise (`SamplerSettings.noise`)
    keys:     [B], a key for each row and step
    ends:     the spans of free length
    """

    masked: jax.Array
    tokens: jax.Array
    log_prob: jax.Array
    keep: jax.Array
    left: jax.Array
    noise: float
    keys: jax.Array
    ends: Ends


class Choice(NamedTuple):
    """selected: bool [B, L], to be uncovered now. rank: int32 [B, L], place in the order among the masked, lower
    first.
    """

    selected: jax.Array
    rank: jax.Array


Order = Callable[[Step], Choice]


def ancestral(step: Step) -> Choice:
    u = _per_row(jax.random.uniform, step)
    return Choice(step.masked & (u >= step.keep), rank_of(u, step.masked))


def random(step: Step) -> Choice:
    return _first(_per_row(jax.random.uniform, step), step)


def confidence(step: Step) -> Choice:
    scores = step.log_prob
    if step.noise > 0:
        scores = scores + step.noise * step.left * _per_row(jax.random.gumbel, step)
    return _first(not_before_its_text(scores, step.tokens, step.masked, step.ends), step)


ORDERS: dict[str, Order] = {"ancestral": ancestral, "random": random, "confidence": confidence}


def rank_of(scores: jax.Array, masked: jax.Array) -> jax.Array:
    """int32 [B, L]: place of each masked position by falling score, equal scores by position; the others come last."""
    place = lax.broadcasted_iota(jnp.int32, scores.shape, 1)
    _, _, order = lax.sort((~masked, -scores, place), dimension=1, num_keys=3)
    return lax.sort((order, place), dimension=1, num_keys=1)[1]


def _first(scores: jax.Array, step: Step) -> Choice:
    """Uncovers the positions of highest score, as many as the grid wants."""
    rank = rank_of(scores, step.masked)
    masked = jnp.sum(step.masked, axis=1, dtype=jnp.int32)
    count = masked - remaining(masked, step.keep)
    return Choice(step.masked & (rank < count[:, None]), rank)


def _per_row(law: Callable, step: Step) -> jax.Array:
    """float32 [B, L] of the law (`jax.random.uniform`, `gumbel`), row by row from the row's own key."""
    length = step.masked.shape[1]
    return jax.vmap(lambda key: law(key, (length,)))(step.keys)
