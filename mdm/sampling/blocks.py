"""Blocks: the target positions of a row, cut into runs that are written one after another (semi-autoregressive; SSD-LM,
BD3-LM, LLaDA).

An order works inside a block because it is shown the masked positions of that block alone. Every block is walked over the
whole grid. All rows of a batch write the same block: a row that is through with it waits, which changes nothing in it, since
its noise is keyed by its block and its steps there.

Letters: B rows, L positions.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from mdm.tokens.rows import TARGET, Row

NO_BLOCK = 2**31 - 1


def number_blocks(rows: Row, block: int) -> jax.Array:
    """int32 [B, L]: the block of each target position, counted over the target positions of its row, given ones included;
    NO_BLOCK elsewhere. block: positions of a block; 0 makes the row one block."""
    target = rows.roles == TARGET
    place = jnp.cumsum(target, axis=1, dtype=jnp.int32) - 1
    return jnp.where(target, place // block if block else 0, NO_BLOCK)


def first_block(numbers: jax.Array, chosen: jax.Array, behind: jax.Array | int = -1) -> jax.Array:
    """int32 scalar: the first block behind block `behind` in which any row has one of the `chosen` positions (bool [B, L]);
    NO_BLOCK if there is none."""
    return jnp.min(jnp.where(chosen & (numbers > behind), numbers, NO_BLOCK))
