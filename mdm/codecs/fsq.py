"""Finite scalar quantisation: a vector of few dims, each rounded to few levels; the code is its number in mixed radix.

Source: Mentzer et al. 2023, arXiv 2309.15505. There is no codebook to learn and none to collapse. Ours: a sigmoid whose levels
are all equally wide takes the place of the paper's tanh with an offset for even counts.

Letters: ... any leading dims, Q quantised dims.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np

STEEPNESS = (
    1.6  # a sigmoid of 1.6 z is nearly the distribution function of a Gaussian z: all levels are then used alike
)


def size(levels: tuple[int, ...]) -> int:
    """Number of codes."""
    return math.prod(levels)


def quantise(z: jax.Array, levels: tuple[int, ...]) -> tuple[jax.Array, jax.Array]:
    """[..., Q] unbounded -> (values [..., Q] in [-1, 1], gradient passed straight through the rounding; codes int32 [...])."""
    count = jnp.array(levels, z.dtype)
    place = count * jax.nn.sigmoid(STEEPNESS * z) - 0.5
    digit = jnp.clip(jnp.round(place), 0, count - 1)
    place = place + jax.lax.stop_gradient(digit - place)
    codes = jnp.sum(digit.astype(jnp.int32) * jnp.array(_radix(levels)), axis=-1)
    return _value(place, count), codes


def values(codes: jax.Array, levels: tuple[int, ...]) -> jax.Array:
    """int32 [...] -> float32 [..., Q]: what `quantise` gave with these codes."""
    digit = codes[..., None] // jnp.array(_radix(levels)) % jnp.array(levels)
    return _value(digit.astype(jnp.float32), jnp.array(levels, jnp.float32))


def _value(digit: jax.Array, count: jax.Array) -> jax.Array:
    return (2 * digit - (count - 1)) / (count - 1)


def _radix(levels: tuple[int, ...]) -> np.ndarray:
    """What one step of each digit adds to the code."""
    return np.cumprod([1, *levels[:-1]]).astype(np.int32)


def usage(codes: np.ndarray, count: int) -> dict[str, float]:
    """codes_used: how many of `count` occur; perplexity: 2 to the entropy of their frequencies."""
    counts = np.bincount(codes.ravel(), minlength=count)
    shares = counts[counts > 0] / counts.sum()
    return {"codes_used": float(len(shares)), "perplexity": float(np.exp(-(shares * np.log(shares)).sum()))}
