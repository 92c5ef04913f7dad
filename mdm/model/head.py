"""The output head: cross-entropy of masked positions only, over their own output range only.

Positions are sorted by range; each range is then walked in chunks, as many as its masked positions fill (dynamic trip
counts), and in each chunk loss and gradients are computed at once. The cost follows the number of masked tokens and the size
of *their* ranges; no [positions x vocabulary] array exists, and there is no capacity that could overflow.

The walk sits inside a custom VJP: the gradient is linear in the loss's cotangent, so it is computed on the way forward
and scaled on the way back, and nothing is differentiated through a loop of unknown length. On a mesh each chip gathers the
columns, walks over the positions that it was dealt (`dealing`), and keeps its part of the summed gradient of the columns.

Letters: N positions, D width, V columns (all ranges), v columns of one range, C chunk.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from mdm.model.dealing import Dealing
from mdm.model.placement import ONE_DEVICE, Placement

Bounds = tuple[tuple[int, int], ...]
"""(start, stop) columns of each output range."""

_PANEL = 8192  # columns whose gradient is added at a time
_POSITION = ("rows", "positions")
_COLUMNS = (None, "features")


@functools.partial(jax.custom_vjp, nondiff_argnums=(6, 7, 8))
def cross_entropy(
    hidden: jax.Array,
    columns: jax.Array,
    target: jax.Array,
    ranges: jax.Array,
    weight: jax.Array,
    z_weight: jax.Array,
    bounds: Bounds,
    chunk: int,
    placement: Placement = ONE_DEVICE,
) -> tuple[jax.Array, jax.Array]:
    """Weighted cross-entropy of the positions whose range is not negative.

    hidden [..., D], columns [V, D], target int32 [...], ranges int32 [...], weight float32 [...], z_weight float32 []
      -> (sum of weight * ce + z_weight * sum of lse**2, float32; ce float32 [...] in nats, 0 where not chosen).
    On a mesh the leading dims are rows and positions. The products take the dtype of `hidden`; sums, and the gradient of the
    columns, are float32. Differentiable in `hidden` and `columns`; the second result carries no gradient.
    """
    return _run(hidden, columns, target, ranges, weight, z_weight, bounds, chunk, placement, gradients=False)[:2]


def _forward(hidden, columns, target, ranges, weight, z_weight, bounds, chunk, placement):
    arguments = (hidden, columns, target, ranges, weight, z_weight)
    loss, nats, *gradients = _run(*arguments, bounds, chunk, placement, gradients=True)
    return (loss, nats), (*gradients, target.shape)


def _backward(bounds, chunk, placement, kept, cotangents):
    scale, _ = cotangents
    d_hidden, d_columns, shape = kept
    no_integer = np.zeros(shape, jax.dtypes.float0)
    return (
        d_hidden * scale.astype(d_hidden.dtype),
        d_columns * scale.astype(d_columns.dtype),
        no_integer,
        no_integer,
        jnp.zeros(shape, jnp.float32),
        jnp.zeros((), jnp.float32),
    )


cross_entropy.defvjp(_forward, _backward)


def _run(hidden, columns, target, ranges, weight, z_weight, bounds, chunk, placement: Placement, *, gradients: bool):
    own = functools.partial(_on_one_chip, bounds=bounds, chunk=chunk, placement=placement, gradients=gradients)
    hidden_axes = (*_POSITION, None)
    inputs = (hidden_axes, _COLUMNS, _POSITION, _POSITION, _POSITION, ())
    outputs = ((), _POSITION, hidden_axes, _COLUMNS) if gradients else ((), _POSITION)
    return placement.local(own, inputs, outputs)(hidden, columns, target, ranges, weight, z_weight)


def _on_one_chip(hidden, columns, target, ranges, weight, z_weight, *, bounds, chunk, placement, gradients):
    """(loss, nats) or (loss, nats, d_hidden, d_columns) of the whole mesh, each this chip's part of it."""
    shape, width = target.shape, hidden.shape[-1]
    cut = placement.names("features")
    whole = columns.astype(hidden.dtype)
    whole = lax.all_gather(whole, cut, axis=1, tiled=True) if cut else whole
    own = hidden.reshape(-1, width), target.reshape(-1), ranges.reshape(-1), weight.reshape(-1)
    everywhere = placement.all_names
    if not everywhere:
        loss, nats, found = _walk(own[0], whole, *own[1:], z_weight, bounds, chunk, gradients=gradients)
    else:
        group = jnp.where(own[2] < 0, len(bounds), own[2])
        dealing = Dealing.by(group, placement.names("dealt"), placement.names("copies"))
        dealt = [dealing.deal(values, empty) for values, empty in zip(own, (0, 0, -1, 0), strict=True)]
        loss, nats, found = _walk(dealt[0], whole, *dealt[1:], z_weight, bounds, chunk, gradients=gradients)
        loss, nats = lax.psum(loss, everywhere), dealing.collect(nats)
    if not gradients:
        return loss, nats.reshape(shape)
    d_hidden, d_columns = found
    if everywhere:
        d_hidden = dealing.collect(d_hidden)
        d_columns = lax.psum_scatter(d_columns, cut, scatter_dimension=1, tiled=True) if cut else d_columns
        others = tuple(name for name in everywhere if name not in cut)
        d_columns = lax.psum(d_columns, others) if others else d_columns
    return loss, nats.reshape(shape), d_hidden.reshape(hidden.shape), d_columns.astype(columns.dtype)


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
    """(loss, nats [N], (d_hidden [N, D], d_columns float32 [V, D]) or None) of the positions of one chip."""
    # NumPy arrays cannot be indexed by the loop's counter.
    hidden, target, weight = map(jnp.asarray, (hidden, target, weight))
    n, width = hidden.shape
    chunk = min(chunk, n)
    by_range = _sort(ranges, len(bounds), chunk)

    def take(i, carry, *, size, first, last, own, start):
        loss, nats, d_hidden, d_columns = carry
        at = first + i * size
        place = lax.dynamic_slice(by_range.order, (at,), (size,))
        valid = at + jnp.arange(size) < last
        h = hidden[place]
        wanted = target[place] - start
        w = jnp.where(valid, weight[place], 0.0)
        logits = jnp.einsum("cd,vd->cv", h, own, preferred_element_type=jnp.float32)
        # From its column, not from the logits: those can then be overwritten, and there is one array of their size, not two.
        logit = jnp.einsum("cd,cd->c", h, own[jnp.where(valid, wanted, 0)], preferred_element_type=jnp.float32)
        top = jnp.max(logits, axis=1, keepdims=True)
        exps = jnp.exp(logits - top)
        total = jnp.sum(exps, axis=1, keepdims=True)
        lse = (top + jnp.log(total))[:, 0]
        ce = jnp.where(valid, lse - logit, 0.0)
        z = jnp.where(valid, z_weight, 0.0)
        loss = loss + jnp.sum(w * ce) + jnp.sum(z * lse * lse)
        # A chunk that runs past its range writes zeros there; the range behind it is walked later and overwrites them.
        nats = lax.dynamic_update_slice(nats, ce, (at,))
        if gradients:
            hit = lax.broadcasted_iota(jnp.int32, logits.shape, 1) == wanted[:, None]
            d_logits = exps * ((w + 2 * z * lse)[:, None] / total) - jnp.where(hit, w[:, None], 0.0)
            d_logits = d_logits.astype(hidden.dtype)
            d_h = jnp.einsum("cv,vd->cd", d_logits, own, preferred_element_type=jnp.float32)
            d_hidden = lax.dynamic_update_slice(d_hidden, d_h.astype(d_hidden.dtype), (at, 0))
            d_columns = _add_by_panels(d_columns, start, d_logits, h)
        return loss, nats, d_hidden, d_columns

    carry = (
        jnp.zeros((), jnp.float32),
        jnp.zeros(n + chunk, jnp.float32),
        jnp.zeros((n + chunk, width), hidden.dtype) if gradients else None,
        jnp.zeros(columns.shape, jnp.float32) if gradients else None,
    )
    for number, (start, stop) in enumerate(bounds):
        first, last = by_range.first[number], by_range.first[number + 1]
        own = lax.slice_in_dim(columns, start, stop)
        step = functools.partial(take, last=last, own=own, start=start)
        # Whole chunks, then halves: what a range leaves of its last chunk is computed for nothing.
        for size, spare in ((chunk, 0), (half := max(1, chunk // 2), half - 1)):
            count = (last - first + spare) // size
            carry = lax.fori_loop(0, count, functools.partial(step, size=size, first=first), carry)
            first += count * size
    loss, nats, d_hidden, d_columns = carry
    nats = nats[by_range.place]
    if not gradients:
        return loss, nats, None
    return loss, nats, (d_hidden[by_range.place], d_columns)


def _add_by_panels(sums: jax.Array, start: int, d_logits: jax.Array, h: jax.Array) -> jax.Array:
    """`sums` [V, D] plus the product of d_logits [C, v] and h [C, D], in place at `start`, _PANEL columns at a time.

    All columns at once would need an array of the size of the output table beside the one that it is added to.
    """

    def add(sums, at, own):
        product = jnp.einsum("cv,cd->vd", own, h, preferred_element_type=jnp.float32)
        before = lax.dynamic_slice_in_dim(sums, at, product.shape[0])
        return lax.dynamic_update_slice_in_dim(sums, before + product, at, 0)

    def panel(i, sums):
        return add(sums, start + i * _PANEL, lax.dynamic_slice_in_dim(d_logits, i * _PANEL, _PANEL, axis=1))

    panels, rest = divmod(d_logits.shape[1], _PANEL)
    sums = lax.fori_loop(0, panels, panel, sums) if panels else sums
    return add(sums, start + panels * _PANEL, d_logits[:, panels * _PANEL :]) if rest else sums
