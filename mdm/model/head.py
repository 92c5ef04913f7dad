"""The output head: cross-entropy of masked positions only, over their own output range only.

Positions are sorted by range; each range is then walked in chunks, as many as its masked positions fill (a dynamic trip
count), and in each chunk loss and gradients are computed at once. The cost follows the number of masked tokens and the size
of *their* ranges; no [positions x vocabulary] array exists, and there is no capacity that could overflow.

The loop sits inside a custom VJP: the gradient is linear in the loss's cotangent, so it is computed on the way forward
and scaled on the way back, and nothing is differentiated through a loop of unknown length.

Letters: N positions, D width, V columns (all ranges), v columns of one range, C chunk.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Bounds = tuple[tuple[int, int], ...]
"""(start, stop) columns of each output range."""


@functools.partial(jax.custom_vjp, nondiff_argnums=(6, 7))
def cross_entropy(
    hidden: jax.Array,
    columns: jax.Array,
    target: jax.Array,
    ranges: jax.Array,
    weight: jax.Array,
    z_weight: jax.Array,
    bounds: Bounds,
    chunk: int,
) -> tuple[jax.Array, jax.Array]:
    """Weighted cross-entropy of the positions whose range is not negative.

    hidden [N, D], columns [V, D], target int32 [N], ranges int32 [N], weight float32 [N], z_weight float32 []
      -> (sum of weight * ce + z_weight * sum of lse**2, float32; ce float32 [N] in nats, 0 where not chosen).
    Differentiable in `hidden` and `columns`; the second result carries no gradient.
    """
    loss, nats, _ = _walk(hidden, columns, target, ranges, weight, z_weight, bounds, chunk, gradients=False)
    return loss, nats


def _forward(hidden, columns, target, ranges, weight, z_weight, bounds, chunk):
    loss, nats, gradients = _walk(hidden, columns, target, ranges, weight, z_weight, bounds, chunk, gradients=True)
    return (loss, nats), gradients


def _backward(bounds, chunk, gradients, cotangents):
    scale, _ = cotangents
    d_hidden, d_columns = (g * scale.astype(g.dtype) for g in gradients)
    n = d_hidden.shape[0]
    no_integer = np.zeros(n, jax.dtypes.float0)
    return d_hidden, d_columns, no_integer, no_integer, jnp.zeros(n, jnp.float32), jnp.zeros((), jnp.float32)


cross_entropy.defvjp(_forward, _backward)


class _Sorted(NamedTuple):
    """The positions by range, padded by one chunk so that a slice never runs over the end."""

    order: jax.Array  # int32 [N + C], position that stands at each sorted place
    place: jax.Array  # int32 [N], sorted place of each position
    first: jax.Array  # int32 [R + 1], sorted place at which each range begins


def _sort(ranges: jax.Array, count: int, chunk: int) -> _Sorted:
    group = jnp.where(ranges < 0, count, ranges)
    order = jnp.argsort(group, stable=True).astype(jnp.int32)
    place = jnp.zeros_like(order).at[order].set(jnp.arange(order.size, dtype=jnp.int32), unique_indices=True)
    sizes = jnp.sum(group[:, None] == jnp.arange(count), axis=0, dtype=jnp.int32)
    first = jnp.concatenate([jnp.zeros(1, jnp.int32), jnp.cumsum(sizes)])
    return _Sorted(jnp.pad(order, (0, chunk)), place, first)


def _walk(hidden, columns, target, ranges, weight, z_weight, bounds: Bounds, chunk: int, *, gradients: bool):
    hidden, target, weight = map(
        jnp.asarray, (hidden, target, weight)
    )  # NumPy arrays cannot be indexed by the loop's counter
    n, width = hidden.shape
    chunk = min(chunk, n)
    by_range = _sort(ranges, len(bounds), chunk)
    loss = jnp.zeros((), jnp.float32)
    nats = jnp.zeros(n + chunk, jnp.float32)
    d_hidden = jnp.zeros((n + chunk, width), hidden.dtype) if gradients else None
    d_columns = []
    for number, (start, stop) in enumerate(bounds):
        own = lax.slice_in_dim(columns, start, stop)
        d_own = jnp.zeros(own.shape, jnp.float32) if gradients else None
        first, last = by_range.first[number], by_range.first[number + 1]

        def step(i, carry, own=own, first=first, last=last, start=start):
            loss, nats, d_hidden, d_own = carry
            at = first + i * chunk
            place = lax.dynamic_slice(by_range.order, (at,), (chunk,))
            valid = at + jnp.arange(chunk) < last
            h = hidden[place]
            wanted = target[place] - start
            w = jnp.where(valid, weight[place], 0.0)
            logits = jnp.einsum("cd,vd->cv", h, own, preferred_element_type=jnp.float32)
            top = jnp.max(logits, axis=1, keepdims=True)
            exps = jnp.exp(logits - top)
            total = jnp.sum(exps, axis=1, keepdims=True)
            lse = (top + jnp.log(total))[:, 0]
            hit = lax.broadcasted_iota(jnp.int32, logits.shape, 1) == wanted[:, None]
            ce = jnp.where(valid, lse - jnp.sum(jnp.where(hit, logits, 0.0), axis=1), 0.0)
            z = jnp.where(valid, z_weight, 0.0)
            loss = loss + jnp.sum(w * ce) + jnp.sum(z * lse * lse)
            # A chunk that runs past its range writes zeros there; the range behind it is walked later and overwrites them.
            nats = lax.dynamic_update_slice(nats, ce, (at,))
            if gradients:
                d_logits = exps * ((w + 2 * z * lse)[:, None] / total) - jnp.where(hit, w[:, None], 0.0)
                d_logits = d_logits.astype(hidden.dtype)
                d_h = jnp.einsum("cv,vd->cd", d_logits, own, preferred_element_type=jnp.float32)
                d_hidden = lax.dynamic_update_slice(d_hidden, d_h.astype(d_hidden.dtype), (at, 0))
                d_own = d_own + jnp.einsum("cv,cd->vd", d_logits, h, preferred_element_type=jnp.float32)
            return loss, nats, d_hidden, d_own

        chunks = (last - first + chunk - 1) // chunk
        loss, nats, d_hidden, d_own = lax.fori_loop(0, chunks, step, (loss, nats, d_hidden, d_own))
        d_columns.append(d_own)
    nats = nats[by_range.place]
    if not gradients:
        return loss, nats, None
    d_hidden = d_hidden[by_range.place]
    return loss, nats, (d_hidden, jnp.concatenate(d_columns).astype(columns.dtype))
