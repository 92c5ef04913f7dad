"""Rotary positions over three axes (time, row, column).

Frequency j of a head turns with axis j mod 3, so each axis has slow and fast frequencies. Where the three axes agree, as in
text and audio, this is the ordinary one-dimensional RoPE (Su et al. 2021).

Letters: B rows, L positions, H heads, K head size.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np


def rotations(positions: jax.Array, head_size: int, base: float) -> tuple[jax.Array, jax.Array]:
    """int32 [B, L, 3] -> cosines and sines, float32 [B, L, 1, K/2] each."""
    frequencies = base ** -(np.arange(head_size // 2) * 2 / head_size)
    axis = np.arange(head_size // 2) % 3
    angles = positions[..., axis].astype(jnp.float32) * frequencies.astype(np.float32)
    return jnp.cos(angles)[:, :, None], jnp.sin(angles)[:, :, None]


def rotate(heads: jax.Array, rotation: tuple[jax.Array, jax.Array]) -> jax.Array:
    """[B, L, H, K] turned by `rotation`; the two halves of K are the two coordinates. Computed in float32."""
    cos, sin = rotation
    a, b = jnp.split(heads.astype(jnp.float32), 2, axis=-1)
    return jnp.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1).astype(heads.dtype)
