"""Convolutions of one or two spatial dims, as pure functions over nested dicts of arrays.

Every function treats the items of a batch apart, so that codes depend on no neighbour.

Letters: B items, S spatial dims, C channels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


def conv_parameters(
    keys: Iterator[jax.Array], size: tuple[int, ...], channels: int, out: int, gain: float = 1.0
) -> dict:
    """A kernel [*size, channels, out] of deviation gain / sqrt(fan in), and a bias of zeros."""
    fan_in = math.prod(size) * channels
    # Two dims, not four: XLA:CPU needs ten times as long to compile the draw of as many numbers in four.
    kernel = gain / np.sqrt(fan_in) * jax.random.normal(next(keys), (fan_in, out))
    return {"kernel": kernel.reshape(*size, channels, out), "bias": jnp.zeros(out)}


def conv(parameters: dict, x: jax.Array, stride: int = 1) -> jax.Array:
    """[B, *S, C] -> [B, *S / stride, C']; edges are padded with zeros."""
    dims = x.ndim - 2
    names = ("NWC", "WIO", "NWC") if dims == 1 else ("NHWC", "HWIO", "NHWC")
    kernel = parameters["kernel"]
    out = lax.conv_general_dilated(x, kernel, (stride,) * dims, "SAME", dimension_numbers=names)
    return out + parameters["bias"]


def block_parameters(keys: Iterator[jax.Array], size: tuple[int, ...], channels: int) -> dict:
    """Of a residual block; its last kernel is small, so that a deep stack begins near the identity."""
    return {
        "gain": jnp.ones(channels),
        "first": conv_parameters(keys, size, channels, channels),
        "second": conv_parameters(keys, size, channels, channels, gain=0.2),
    }


def block(parameters: dict, x: jax.Array) -> jax.Array:
    """[B, *S, C] -> the same: x + conv(silu(conv(norm(x)))), the norm over channels at each place."""
    h = x * lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + 1e-6) * parameters["gain"]
    return x + conv(parameters["second"], jax.nn.silu(conv(parameters["first"], h)))


def fold(x: jax.Array, factor: int) -> jax.Array:
    """[B, *S, C] -> [B, *S / factor, factor^dims * C]: neighbours into channels."""
    if x.ndim == 3:
        b, w, c = x.shape
        return x.reshape(b, w // factor, factor * c)
    b, h, w, c = x.shape
    x = x.reshape(b, h // factor, factor, w // factor, factor, c).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(b, h // factor, w // factor, factor * factor * c)


def unfold(x: jax.Array, factor: int) -> jax.Array:
    """The inverse of `fold`."""
    if x.ndim == 3:
        b, w, c = x.shape
        return x.reshape(b, w * factor, c // factor)
    b, h, w, c = x.shape
    x = x.reshape(b, h, w, factor, factor, c // (factor * factor)).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(b, h * factor, w * factor, -1)


def flatten(tree: dict) -> dict[str, np.ndarray]:
    """Nested dicts as one dict with names like `a/b`."""
    return dict(zip(_names(tree), map(np.asarray, jax.tree.leaves(tree)), strict=True))


def unflatten(flat: dict[str, np.ndarray], like: dict) -> dict:
    """The inverse of `flatten`, in the structure of `like`. Raises KeyError or ValueError if it does not fit."""
    names = [*_names(like)]
    if extra := set(flat) - set(names):
        raise ValueError(f"{sorted(extra)} belong nowhere")
    return fill(like, [flat[name] for name in names])


def fill(like: Any, leaves: list[np.ndarray]) -> Any:
    """`leaves` in the structure of `like`. Raises ValueError if their number, a shape or a type differs."""
    wanted, structure = jax.tree.flatten(like)
    for number, (leaf, other) in enumerate(zip(leaves, wanted, strict=True)):
        if leaf.shape != other.shape or leaf.dtype != other.dtype:
            raise ValueError(f"array {number} is {leaf.dtype} {leaf.shape}, not {other.dtype} {other.shape}")
    return jax.tree.unflatten(structure, leaves)


def check_finite(flat: dict[str, np.ndarray]) -> None:
    """Raises ValueError, naming the array, if one holds what is no number."""
    for name, array in flat.items():
        if not np.isfinite(array).all():
            raise ValueError(f"{name} is not finite")


def _names(tree: dict) -> list[str]:
    paths, _ = jax.tree_util.tree_flatten_with_path(tree)
    return ["/".join(str(getattr(k, "key", getattr(k, "idx", k))) for k in path) for path, _ in paths]
