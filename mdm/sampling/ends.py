"""The end of a span of free length: where END may stand, and what it does to the positions behind it.

Training shows END only as a tail: behind an END there are only ENDs. Sampling holds to that:

    1. once an END is committed, every masked position behind it in its span is END as well: length is learnt;
    2. END may not be drawn where a code is already committed further behind in the span (what is given or committed
       stays);
    3. of an END and a code behind it that are drawn in one step, the one that its order ranks first stands: the END
       cuts the code off, or gives way to a code drawn in its place;
    4. an order that looks at the drawn symbols ranks an END no higher than the lowest masked position before it, so
       that a confident END far back does not cut off what has not been written. It is thus committed only when every
       position before it is. An order blind to symbols needs no such rule: with it, an END anywhere is a fair draw of
       the length.

Letters: B rows, L positions, S spans of free length (at most one a modality, as in every task).
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from mdm.tokens.rows import TARGET, Row
from mdm.tokens.vocabulary import ENDING, Vocabulary


class Ends(NamedTuple):
    """spans: bool [S, B, L], the target positions of each span of free length. ids: int32 [B, L], END there, else -1."""

    spans: jax.Array
    ids: jax.Array


def find_ends(rows: Row, vocabulary: Vocabulary, counts: tuple[int, ...]) -> Ends:
    """The spans of free length among the targets of `rows` [B, L]. counts: as in `Layout`; what no row has costs nothing."""
    target = rows.roles == TARGET
    own = jnp.maximum(rows.ranges.astype(jnp.int32), 0)
    ends = jnp.array([-1 if r.end is None else r.end for r in vocabulary.ranges], jnp.int32)
    free = [modality for modality in ENDING if any(counts[number] for number in vocabulary.ranges_of(modality))]
    members = np.array([[r.modality == modality for r in vocabulary.ranges] for modality in free], bool)
    members = jnp.asarray(members.reshape(len(free), len(vocabulary.ranges)))
    return Ends(spans=members[:, own] & target, ids=jnp.where(target, ends[own], -1))


def closed(ends: Ends, ids: jax.Array, masked: jax.Array) -> jax.Array:
    """bool [B, L]: a code is committed further behind in the span, so no END may stand here."""
    code = ~masked & (ids != ends.ids)
    return _least_behind(ends, code, jnp.zeros_like(ids)) < ids.shape[-1]


def behind_an_end(ends: Ends, ids: jax.Array, masked: jax.Array) -> jax.Array:
    """bool [B, L]: an END is committed further before in the span."""
    end = (ends.spans & ~masked & (ids == ends.ids)).astype(jnp.int32)
    before = lax.cummax(end, axis=2)[..., :-1]
    return jnp.any(ends.spans & jnp.pad(before > 0, ((0, 0), (0, 0), (1, 0))), axis=0)


def not_before_its_text(scores: jax.Array, tokens: jax.Array, masked: jax.Array, ends: Ends) -> jax.Array:
    """Scores [B, L] (higher goes first) with each drawn END lowered to the lowest masked position before it in its
    span.

    Equal scores rank by position, so the END comes behind all of them.
    """
    least = lax.cummin(jnp.where(ends.spans & masked, scores, jnp.inf), axis=2)
    least = jnp.min(jnp.where(ends.spans, least, jnp.inf), axis=0, initial=jnp.inf)
    return jnp.where(tokens == ends.ids, jnp.minimum(scores, least), scores)


def settle(
    ids: jax.Array,
    masked: jax.Array,
    selected: jax.Array,
    rank: jax.Array,
    tokens: jax.Array,
    codes: jax.Array,
    ends: Ends,
) -> tuple[jax.Array, jax.Array]:
    """Commits `tokens` at the `selected` positions and applies rules 1 and 3: the new ids and mask, [B, L] each.

    rank: int32 [B, L], place in the order, lower first; codes: what stands in place of an END that gives way. All tokens
    that rule 2 forbids must have been replaced by their codes before.
    """
    is_end = tokens == ends.ids
    gives_way = is_end & (_least_behind(ends, selected & ~is_end, rank) < rank)
    standing = selected & is_end & ~gives_way
    cut = jnp.any(ends.spans & (lax.cummax((ends.spans & standing).astype(jnp.int32), axis=2) > 0), axis=0)
    ids = jnp.where(selected, jnp.where(gives_way, codes, tokens), ids)
    return jnp.where(masked & cut, ends.ids, ids), masked & ~selected & ~cut


def _least_behind(ends: Ends, chosen: jax.Array, values: jax.Array) -> jax.Array:
    """int32 [B, L]: the least of `values` over the `chosen` positions further behind in the span; L where there is
    none.
    """
    nothing = chosen.shape[-1]
    own = jnp.where(ends.spans & chosen, values, nothing)
    own = jnp.concatenate([own[..., 1:], jnp.full_like(own[..., :1], nothing)], axis=2)
    return jnp.min(jnp.where(ends.spans, lax.cummin(own, axis=2, reverse=True), nothing), axis=0, initial=nothing)
