"""Convolutions of one or two spatial dims, as pure functions over nested dicts of arrays.

Every function treats the items of a batch apart, so that codes depend on no neighbour.

Letters: B items, S spatial dims, C channels.
"""

from __future__ import annotations

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


def conv_parameters(
    keys: Iterator[jax.Array], size: tuple[int, ...], channels: int, out: int, gain: float = 1.0
) -> dict:
    """A kernel [*size, channels, out] of deviation gain / sqrt(fan in), and a bias of zeros."""
    scale = gain / np.sqrt(np.prod(size) * channels)
    return {"kernel": scale * jax.random.normal(next(keys), (*size, channels, out)), "bias": jnp.zeros(out)}


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
    paths, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {
        "/".join(str(getattr(k, "key", getattr(k, "idx", k))) for k in path): np.asarray(leaf) for path, leaf in paths
    }


def unflatten(flat: dict[str, np.ndarray], like: dict) -> dict:
    """The inverse of `flatten`, in the structure of `like`. Raises KeyError or ValueError if it does not fit."""
    names = list(flatten(like))
    leaves = [flat[name] for name in names]
    for name, leaf, other in zip(names, leaves, jax.tree.leaves(like), strict=True):
        if leaf.shape != other.shape:
            raise ValueError(f"{name} has shape {leaf.shape}, not {other.shape}")
    return jax.tree.unflatten(jax.tree.structure(like), leaves)
