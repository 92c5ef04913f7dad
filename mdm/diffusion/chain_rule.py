"""The likelihood of documents by the chain rule: targets are uncovered one at a time, in a given order.

In one order, -log p is the exact code length of the model that writes in that order, and bounds nothing about another. Over
uniformly random orders, its mean is the negative ELBO, and -log of the mean probability is the code length of the model that
draws an order first: never above the mean (Jensen), so the tighter bound.

Letters: B documents (one a row), L positions, D width, V symbols of a range.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from mdm.diffusion.corruption import rank_in_segment, row_uniform
from mdm.diffusion.denoiser import Denoiser
from mdm.tokens.rows import TARGET, Row
from mdm.tokens.vocabulary import Vocabulary


def _place(rows: Row, key: jax.Array, number: jax.Array) -> jax.Array:
    return jnp.broadcast_to(jnp.arange(rows.ids.shape[1], dtype=jnp.float32), rows.ids.shape)


def _uniform(rows: Row, key: jax.Array, number: jax.Array) -> jax.Array:
    return row_uniform(key, number, rows.ids.shape[1])


ORDERS: dict[str, Callable[[Row, jax.Array, jax.Array], jax.Array]] = {
    "forward": _place,
    "backward": lambda *given: -_place(*given),
    "random": _uniform,
}
"""Name -> (rows, key, number of each document) -> float32 [B, L]: the target of least value is uncovered first."""

RANDOM = "random"


class Uncovered(NamedTuple):
    """nats: float32 [B, L], -log p of each target given what was uncovered before it, 0 elsewhere.

    likeliest: bool [B, L], whether it was the symbol of highest probability; True elsewhere
    """

    nats: jax.Array
    likeliest: jax.Array


def ranks(order: str, rows: Row, number: jax.Array, seed: int | jax.Array) -> jax.Array:
    """int32 [B, L]: at which step each target is uncovered, from 0; -1 elsewhere.

    order: a name in ORDERS. `number` uint32 [B, 2] and the seed key a random one: neither the batch nor L is part of it.
    """
    key = jax.random.fold_in(jax.random.key(seed), 5)  # 0 to 4 are those of corruption
    rank, _ = rank_in_segment(ORDERS[order](rows, key, number), rows)
    return jnp.where(rows.roles == TARGET, rank, -1)


def uncover(denoiser: Denoiser, rows: Row, rank: jax.Array, vocabulary: Vocabulary) -> Uncovered:
    """Uncovers the targets of every row by `rank`, with as many passes of the network as the longest row has targets."""
    steps = jnp.max(rank) + 1

    def step(number, found: Uncovered) -> Uncovered:
        now = rank == number
        ids = jnp.where(rank >= number, vocabulary.mask, rows.ids)
        hidden = denoiser.hidden(ids, rows.segments, rows.positions, rows.ranges)
        place = jnp.argmax(now, axis=1)[:, None]  # a row that is done has none, and is left as it is below
        nats, likeliest = _of_one(
            denoiser,
            jnp.take_along_axis(hidden, place[..., None], axis=1)[:, 0],
            *(jnp.take_along_axis(array, place, axis=1)[:, 0] for array in (rows.ids, rows.ranges)),
            vocabulary,
        )
        return Uncovered(jnp.where(now, nats[:, None], found.nats), jnp.where(now, likeliest[:, None], found.likeliest))

    shape = rows.ids.shape
    return lax.fori_loop(0, steps, step, Uncovered(jnp.zeros(shape, jnp.float32), jnp.ones(shape, bool)))


def _of_one(
    denoiser: Denoiser, hidden: jax.Array, ids: jax.Array, ranges: jax.Array, vocabulary: Vocabulary
) -> tuple[jax.Array, jax.Array]:
    """Of one position a row, hidden [B, D], ids [B], ranges [B]: (nats float32 [B], whether it is the likeliest, bool [B])."""
    nats, likeliest = jnp.zeros(ids.shape, jnp.float32), jnp.ones(ids.shape, bool)
    for number, own in enumerate(vocabulary.ranges):
        logits = denoiser.logits(hidden, number).astype(jnp.float32)
        symbol = jnp.clip(ids - own.start, 0, own.size - 1)
        wanted = jnp.take_along_axis(logits, symbol[:, None], axis=1)[:, 0]
        here = ranges == number
        nats = jnp.where(here, jax.nn.logsumexp(logits, axis=1) - wanted, nats)
        likeliest = jnp.where(here, jnp.argmax(logits, axis=1) == symbol, likeliest)
    return nats, likeliest
