"""Attention inside segments, in every direction.

A query sees the keys of its own segment and nothing else; padding (segment 0) is seen by no segment. What a padding
query returns is arbitrary and finite. All kernels compute one formula and are held to `reference` by tests.

Letters: B rows, L query positions, S key positions, H heads, K head size, C query positions of a block.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from mdm.model import splash
from mdm.model.placement import Placement
from mdm.problems import Problem

_HIDDEN = -1e30  # finite: a padding query, which sees nothing, then averages over everything instead of giving NaN
_BLOCK = 128  # query positions that `blockwise` takes at a time
_HEADS = ("rows", "positions", "heads", None)
_SEGMENTS = ("rows", "positions")


def reference(
    query: jax.Array, key: jax.Array, value: jax.Array, query_segments: jax.Array, key_segments: jax.Array
) -> jax.Array:
    """The plain formula. [B, L, H, K], [B, S, H, K] twice, int32 [B, L], int32 [B, S] -> [B, L, H, K].

    The scale is 1 / sqrt(K); scores and softmax are float32 whatever the inputs are.
    """
    scores = jnp.einsum("blhk,bshk->bhls", query, key, preferred_element_type=jnp.float32) * query.shape[-1] ** -0.5
    seen = _seen(query_segments, key_segments)
    shares = jax.nn.softmax(jnp.where(seen[:, None], scores, _HIDDEN), axis=-1).astype(value.dtype)
    return jnp.einsum("bhls,bshk->blhk", shares, value)


def blockwise(query, key, value, query_segments, key_segments) -> jax.Array:
    """The plain formula, _BLOCK query positions at a time and recomputed on the way back: memory grows with C S, not L S."""
    b, length = query_segments.shape
    block = min(_BLOCK, length)
    padding = -length % block
    query = jnp.pad(query, ((0, 0), (0, padding), (0, 0), (0, 0)))
    query_segments = jnp.pad(query_segments, ((0, 0), (0, padding)))

    @jax.checkpoint
    def one(carry, part):
        own_query, own_segments = part
        return carry, reference(own_query, key, value, own_segments, key_segments)

    def blocks(x):
        return jnp.moveaxis(x.reshape(b, -1, block, *x.shape[2:]), 1, 0)

    _, mixed = lax.scan(one, None, (blocks(query), blocks(query_segments)))
    return jnp.moveaxis(mixed, 0, 1).reshape(b, length + padding, *query.shape[2:])[:, :length]


def cudnn(query, key, value, query_segments, key_segments) -> jax.Array:
    """NVIDIA's fused kernel; bfloat16 or float16 only, and only on a GPU."""
    seen = _seen(query_segments, key_segments)[:, None]
    return jax.nn.dot_product_attention(query, key, value, mask=seen, implementation="cudnn")


def _seen(query_segments: jax.Array, key_segments: jax.Array) -> jax.Array:
    """bool [B, L, S]."""
    return (query_segments[:, :, None] == key_segments[:, None, :]) & (key_segments > 0)[:, None, :]


@dataclasses.dataclass(frozen=True)
class Kernel:
    """attend: as `reference`; platform: the only one it runs on; head_multiple, length_multiple: of K, and of L and S;
    head_most: of K; dtypes: that it computes in, any if there are none."""

    attend: Callable[..., jax.Array]
    platform: str | None = None
    head_multiple: int = 1
    length_multiple: int = 1
    head_most: int | None = None
    dtypes: tuple[str, ...] = ()


BACKENDS: dict[str, Kernel] = {
    "reference": Kernel(reference),
    "blockwise": Kernel(blockwise),
    "splash": Kernel(splash.attend, "tpu", head_multiple=128, length_multiple=splash.LANES),
    # A mask is a bias to cuDNN, and it trains those for even lengths only. Heads of 256: from Hopper on, before it 128.
    "cudnn": Kernel(cudnn, "gpu", head_multiple=8, length_multiple=2, head_most=256, dtypes=("bfloat16",)),
}
"""Chosen by name in the config, never from the default backend: that one lies during ahead-of-time compilation."""


def kept(heads: jax.Array) -> jax.Array:
    """Keys or values [B, L, H, K] as `attend_with_kept` reads them, [B, H, L, K]: transposed once, not at every look."""
    return heads.swapaxes(1, 2)


def attend_with_kept(query, key, value, segments, place, kept_key, kept_value, kept_segments) -> jax.Array:
    """Attention of a part of each row to the whole row: to keys and values that were kept, with those of the part in their place.

    [B, L, H, K] three times, int32 [B, L], int32 [B, L] (a place beyond the row is none); [B, H, S, K] twice, int32 [B, S] of all
    rows -> [B, L, H, K].
    """
    put = jax.vmap(lambda row, own, at: row.at[:, at].set(own.swapaxes(0, 1), mode="drop"))
    scores = jnp.einsum("blhk,bhsk->bhls", query, put(kept_key, key, place), preferred_element_type=jnp.float32)
    seen = _seen(segments, kept_segments)[:, None]
    shares = jax.nn.softmax(jnp.where(seen, scores * query.shape[-1] ** -0.5, _HIDDEN), axis=-1).astype(value.dtype)
    return jnp.einsum("bhls,bhsk->blhk", shares, put(kept_value, value, place))


def on_platform(name: str, platform: str) -> str:
    """`name`, or where that does not run, the kernel that runs anywhere in little memory.

    For a trained model that is read on another machine than it was trained on. Training itself runs what the config says or
    refuses to.
    """
    return name if BACKENDS[name].platform in (None, platform) else "blockwise"


def problems(at: str, name: str, head_size: int, length: int, dtype: str, platform: str) -> list[Problem]:
    """What keeps a kernel from heads of this size and `length` positions a device, in a dtype on a platform."""
    kernel, found = BACKENDS[name], []
    if kernel.platform not in (None, platform):
        found.append(Problem(at, name, f"runs on {kernel.platform}, this is {platform}", "use blockwise or reference"))
    for where, value, multiple in (
        ("model.head_size", head_size, kernel.head_multiple),
        ("data.row_length", length, kernel.length_multiple),
    ):
        if value % multiple:
            reason = f"{name} takes multiples of {multiple} on a device only"
            found.append(Problem(where, value, reason, f"change it, or {at}"))
    if kernel.head_most and head_size > kernel.head_most:
        reason = f"{name} takes heads of at most {kernel.head_most}"
        found.append(Problem("model.head_size", head_size, reason, f"change it, or {at}"))
    if kernel.dtypes and dtype not in kernel.dtypes:
        found.append(Problem("model.compute_dtype", dtype, f"{name} takes {kernel.dtypes}", f"use one, or change {at}"))
    return found


def attend(name: str, query, key, value, segments: jax.Array, placement: Placement) -> jax.Array:
    """Attention of whole rows, [B, L, H, K] three times and int32 [B, L], wherever they lie.

    Where positions are cut over devices, each keeps its queries and gathers the keys and values of its rows: they are small
    beside the scores, and the kernel stays what it is.
    """
    own = functools.partial(_on_one_chip, BACKENDS[name].attend, placement.names("positions"))
    return placement.local(own, (_HEADS, _HEADS, _HEADS, _SEGMENTS), _HEADS)(query, key, value, segments)


def _on_one_chip(kernel, cut: tuple[str, ...], query, key, value, segments):
    every = segments
    if cut:
        key, value, every = (lax.all_gather(x, cut, axis=1, tiled=True) for x in (key, value, segments))
    return kernel(query, key, value, segments, every)
