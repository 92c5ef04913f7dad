"""Keys and values that are kept while a block is written (Wu et al. 2025, Fast-dLLM, arXiv 2505.22618, section 3.2).

A pass over whole rows leaves a cache; the steps after it look again only at a part of each row, which sees the rest as it was
then:

    prefix   the part is everything from the block's first position on
    dual     the part is the block

An approximation, until the next whole pass: what stands outside of the part has not seen what was written since.

Letters: B rows, L positions, D width, S positions of a part.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from mdm.diffusion.denoiser import CachingDenoiser
from mdm.sampling.blocks import NO_BLOCK
from mdm.tokens.rows import Row

CACHES = ("none", "prefix", "dual")
_SIZES = 4  # a prefix leaves ever less to look at; each size is a program of its own


def part_sizes(cache: str, block: int, length: int) -> tuple[int, ...]:
    """The sizes S that parts are computed at, falling."""
    if cache == "dual":
        return (min(block, length),)
    return tuple(dict.fromkeys(max(-(-length * n // _SIZES), min(block, length)) for n in range(_SIZES, 0, -1)))


def part_of(cache: str, numbers: jax.Array, block: jax.Array, segments: jax.Array) -> jax.Array:
    """bool [B, L]: what is looked at again while `block` is written. numbers: `blocks.number_blocks`."""
    here = numbers == block
    if cache == "dual":
        return here
    place = lax.broadcasted_iota(jnp.int32, numbers.shape, 1)
    first = jnp.min(jnp.where(here, place, NO_BLOCK), axis=1, keepdims=True)
    return (place >= first) & (segments > 0)


def look_again(denoiser: CachingDenoiser, rows: Row, part: jax.Array, sizes: tuple[int, ...], kept: Any) -> jax.Array:
    """Hidden states [B, L, D] of the `part` (bool [B, L], at most sizes[0] a row); zeros elsewhere."""
    most = jnp.max(jnp.sum(part, axis=1))
    fits = sum(most <= size for size in sizes) - 1
    return lax.switch(fits, [functools.partial(_of_size, denoiser, rows, part, size, kept) for size in sizes])


def _of_size(denoiser: CachingDenoiser, rows: Row, part: jax.Array, size: int, kept: Any) -> jax.Array:
    length = part.shape[1]
    place = jnp.argsort(~part, axis=1, stable=True)[:, :size].astype(jnp.int32)
    own = jnp.take_along_axis(part, place, axis=1)
    ids, segments, ranges = (jnp.take_along_axis(a, place, axis=1) for a in (rows.ids, rows.segments, rows.ranges))
    positions = jnp.take_along_axis(rows.positions, place[..., None], axis=1)
    place = jnp.where(own, place, length)  # beyond the row: dropped
    hidden = denoiser.hidden_of_part(ids, jnp.where(own, segments, 0), positions, ranges, place, kept)
    whole = jnp.zeros((*part.shape, hidden.shape[-1]), hidden.dtype)
    return jax.vmap(lambda row, at, states: row.at[at].set(states, mode="drop"))(whole, place, hidden)
