"""Orders: which masked positions are uncovered at a step.

On a grid, which says how many:

    ancestral    each with probability (r_t - r_s) / r_t, blind to what was drawn: samples of the model, up to what
                 the step size leaves out (MD4, MDLM)
    random       an exact count, blind to what was drawn
    confidence   an exact count of the likeliest draws (MaskGIT, LLaDA)
    margin       an exact count of those whose likeliest symbol leads the second by most (arXiv 2502.06768)
    entropy      an exact count of those of least entropy (Dream)

With no grid, at least one a step, until nothing is masked:

    first-hitting     one, blind to what was drawn: exact samples of the model (Zheng et al. 2024, arXiv 2409.02908). The
                      moment at which the next of n masked positions is hit, r u^(1/n), is not drawn: which of them it is
                      does not depend on it, and the network is not told the time
    entropy-bounded   the longest run by rising entropy with (sum - largest) <= `entropy_bound` nats: a bound on what is lost
                      by drawing them apart (EB-Sampler; Ben-Hamu et al. 2025, arXiv 2505.24857, section 4)
    threshold         all draws of probability >= `threshold` (Fast-dLLM; Wu et al. 2025, arXiv 2505.22618, section 3.3)

What looks at the draws gives no samples of the model, but good ones in few steps. Gumbel noise annealed to 0 may be added to
the certainty of the orders that count by it.

An order maps the state of a step to a choice. Counts are kept by rank, never by a threshold, so ties uncover no more.

Letters: B rows, L positions.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from mdm.sampling.certainty import Measure, log_prob, margin, negative_entropy
from mdm.sampling.ends import Ends, not_before_its_text
from mdm.sampling.grids import remaining


class Step(NamedTuple):
    """What an order may look at.

    masked:    bool [B, L], the positions it may choose from
    tokens:    int32 [B, L], ids drawn for them in this step; nothing yet for a blind order
    certainty: float32 [B, L], how sure the network is there, by the order's own measure; likewise
    keep:      float32 [B], share of the masked positions that the grid keeps masked, r_s / r_t; 0 at the last step
    left:      float32 scalar, share of the steps still to come after this one; 0 at the last
    noise, threshold, entropy_bound: as in `SamplerSettings`
    keys:      [B], a key for each row and step
    ends:      the spans of free length
    """

    masked: jax.Array
    tokens: jax.Array
    certainty: jax.Array
    keep: jax.Array
    left: jax.Array
    noise: float
    threshold: float
    entropy_bound: float
    keys: jax.Array
    ends: Ends


class Choice(NamedTuple):
    """selected: bool [B, L], to be uncovered now. rank: int32 [B, L], place in the order among the masked, lower
    first.
    """

    selected: jax.Array
    rank: jax.Array


@dataclasses.dataclass(frozen=True)
class Order:
    """choose: the order itself. measure: what `Step.certainty` holds. on_grid: whether the grid says how many. exact: whether
    always so many, not on average. blind: to what is drawn, so that it chooses before, and only what it chooses is drawn."""

    choose: Callable[[Step], Choice]
    measure: Measure = log_prob
    on_grid: bool = True
    exact: bool = False
    blind: bool = False


def ancestral(step: Step) -> Choice:
    u = per_row(jax.random.uniform, step.keys, step.masked.shape[1])
    return Choice(step.masked & (u >= step.keep[:, None]), rank_of(u, step.masked))


def random(step: Step) -> Choice:
    return _first(per_row(jax.random.uniform, step.keys, step.masked.shape[1]), step)


def surest(step: Step) -> Choice:
    scores = step.certainty
    if step.noise > 0:
        scores = scores + step.noise * step.left * per_row(jax.random.gumbel, step.keys, step.masked.shape[1])
    return _first(not_before_its_text(scores, step.tokens, step.masked, step.ends), step)


def first_hitting(step: Step) -> Choice:
    rank = rank_of(per_row(jax.random.uniform, step.keys, step.masked.shape[1]), step.masked)
    return Choice(step.masked & (rank == 0), rank)


def entropy_bounded(step: Step) -> Choice:
    scores = not_before_its_text(step.certainty, step.tokens, step.masked, step.ends)
    order = _permutation(scores, step.masked)
    entropy = jnp.take_along_axis(jnp.where(step.masked, -step.certainty, 0.0), order, axis=1)
    # Both sides grow with the run, so the positions within the bound are a run; the first is always one of them.
    within = jnp.cumsum(entropy, axis=1) - lax.cummax(entropy, axis=1) <= step.entropy_bound
    count = jnp.sum(within, axis=1, dtype=jnp.int32)
    rank = _inverse(order)
    return Choice(step.masked & (rank < jnp.maximum(count, 1)[:, None]), rank)


def threshold(step: Step) -> Choice:
    scores = not_before_its_text(step.certainty, step.tokens, step.masked, step.ends)
    rank = rank_of(scores, step.masked)
    return Choice(step.masked & ((scores >= math.log(step.threshold)) | (rank == 0)), rank)


ORDERS: dict[str, Order] = {
    "ancestral": Order(ancestral, blind=True),
    "random": Order(random, exact=True, blind=True),
    "confidence": Order(surest, exact=True),
    "margin": Order(surest, margin, exact=True),
    "entropy": Order(surest, negative_entropy, exact=True),
    "first-hitting": Order(first_hitting, on_grid=False, blind=True),
    "entropy-bounded": Order(entropy_bounded, negative_entropy, on_grid=False),
    "threshold": Order(threshold, on_grid=False),
}


def rank_of(scores: jax.Array, masked: jax.Array) -> jax.Array:
    """int32 [B, L]: place of each masked position by falling score, equal scores by position; the others come last."""
    return _inverse(_permutation(scores, masked))


def per_row(law: Callable, keys: jax.Array, length: int) -> jax.Array:
    """float32 [B, L] of the law (`jax.random.uniform`, `gumbel`), row by row from the row's own key [B]."""
    return jax.vmap(lambda key: law(key, (length,)))(keys)


def _permutation(scores: jax.Array, masked: jax.Array) -> jax.Array:
    """int32 [B, L]: the positions by falling score, the masked ones first."""
    place = lax.broadcasted_iota(jnp.int32, scores.shape, 1)
    return lax.sort((~masked, -scores, place), dimension=1, num_keys=3)[2]


def _inverse(order: jax.Array) -> jax.Array:
    return lax.sort((order, lax.broadcasted_iota(jnp.int32, order.shape, 1)), dimension=1, num_keys=1)[1]


def _first(scores: jax.Array, step: Step) -> Choice:
    """Uncovers the positions of highest score, as many as the grid wants."""
    rank = rank_of(scores, step.masked)
    masked = jnp.sum(step.masked, axis=1, dtype=jnp.int32)
    count = masked - remaining(masked, step.keep)
    return Choice(step.masked & (rank < count[:, None]), rank)
