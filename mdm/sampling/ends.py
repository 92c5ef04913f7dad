"""The end of a span of free length: where END may stand, and what it does to the positions behind it.

Training shows END only as a tail: behind an END there are only ENDs. Sampling holds to that:

    1. once an END is committed, every masked position behind it in its span is END as well: length is learnt;
    2. END may not be drawn where a code is already committed further behind in the span (what is given or committed
       stays);
    3. what is drawn in one step is taken in the rank of its order, as if it were written one by one: an END cuts off
       the codes behind it that rank later, and gives way to a code drawn in its place if one behind it stands;
    4. an order that looks at the drawn symbols ranks an END no higher than the lowest masked position before it, so
       that a confident END far back does not cut off what has not been written. It is thus committed only when every
       position before it is. An order blind to symbols needs no such rule: with it, an END anywhere is a fair draw of
       the length;
    5. where the END is given (a length was asked for, or the last code is known), none may be drawn before it.

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
    """spans: bool [S, B, L], the target positions of each span of free length. ids: int32 [B, L], END there, else -1.
    given: bool [B, L], whether the END of the span stands already."""

    spans: jax.Array
    ids: jax.Array
    given: jax.Array


def find_ends(rows: Row, vocabulary: Vocabulary, counts: tuple[int, ...]) -> Ends:
    """The spans of free length among the targets of `rows` [B, L], of which nothing was written yet. counts: as in `Layout`;
    what no row has costs nothing."""
    target = rows.roles == TARGET
    own = jnp.maximum(rows.ranges.astype(jnp.int32), 0)
    ends = jnp.array([-1 if r.end is None else r.end for r in vocabulary.ranges], jnp.int32)
    free = [modality for modality in ENDING if any(counts[number] for number in vocabulary.ranges_of(modality))]
    members = np.array([[r.modality == modality for r in vocabulary.ranges] for modality in free], bool)
    members = jnp.asarray(members.reshape(len(free), len(vocabulary.ranges)))
    spans, ids = members[:, own] & target, jnp.where(target, ends[own], -1)
    given = jnp.any(spans & (rows.ids == ids), axis=2, keepdims=True)
    return Ends(spans, ids, jnp.any(spans & given, axis=0))


def closed(ends: Ends, ids: jax.Array, masked: jax.Array) -> jax.Array:
    """bool [B, L]: a code is committed further behind in the span, or its END was given, so no END may be drawn here."""
    code = (ends.spans & ~masked & (ids != ends.ids)).astype(jnp.int32)
    behind = lax.cummax(code, axis=2, reverse=True)[..., 1:]
    return ends.given | jnp.any(ends.spans & jnp.pad(behind > 0, ((0, 0), (0, 0), (0, 1))), axis=0)


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
    place = lax.broadcasted_iota(jnp.int32, ids.shape, 1)
    first = _first_ends(ends.spans & selected, tokens == ends.ids, rank)
    cut = jnp.any(ends.spans & (place >= first[..., None]), axis=0)
    ids = jnp.where(selected, jnp.where(tokens == ends.ids, codes, tokens), ids)
    return jnp.where(masked & cut, ends.ids, ids), masked & ~selected & ~cut


def _first_ends(drawn: jax.Array, is_end: jax.Array, rank: jax.Array) -> jax.Array:
    """int32 [S, B]: the place of the first END that stands in each span, L where none does. drawn: bool [S, B, L].

    Taken one by one, only what falls between the last code and the first END so far can move either, so the next of them
    by rank is looked for until what is left there is all codes or all ENDs: a few rounds, since each halves it on average.
    """
    length = drawn.shape[-1]
    place = lax.broadcasted_iota(jnp.int32, drawn.shape, 2)

    def within(bounds):
        low, high = bounds
        return drawn & (place >= low[..., None]) & (place < high[..., None])

    def mixed(bounds):
        left = within(bounds)
        return jnp.any(jnp.any(left & is_end, axis=2) & jnp.any(left & ~is_end, axis=2))

    def take(bounds):
        left = within(bounds)
        at = jnp.argmin(jnp.where(left, rank, length), axis=2, keepdims=True).astype(jnp.int32)
        ends = jnp.take_along_axis(left & is_end, at, axis=2)[..., 0]
        codes = jnp.take_along_axis(left & ~is_end, at, axis=2)[..., 0]
        low, high = bounds
        return jnp.where(codes, at[..., 0] + 1, low), jnp.where(ends, at[..., 0], high)

    spans = drawn.shape[:2]
    low, high = lax.while_loop(mixed, take, (jnp.zeros(spans, jnp.int32), jnp.full(spans, length, jnp.int32)))
    return jnp.min(jnp.where(within((low, high)) & is_end, place, high[..., None]), axis=2)
