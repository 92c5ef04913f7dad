"""The network: one bidirectional transformer over all modalities, with no time conditioning.

Pre-norm, RMSNorm, QK-norm, RoPE over three axes, SwiGLU, untied output columns. What a position is to be predicted as (its
output range) is embedded and added to its token: a masked position knows which alphabet it belongs to.

Layer parameters are always stacked, [layers, ...]; the walk over them is a scan or is unrolled. Outside of this room nobody
sees a module: `network.py` splits it once into plain nested dicts of arrays.

Letters: B rows, L positions, D width, H heads, K head size, F hidden, V vocabulary, O output columns, N layers, R ranges.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

from mdm.model import attention, positions, products
from mdm.model.parameterization import ParameterizationSettings, residual_multiplier, tensor_scales
from mdm.model.placement import ONE_DEVICE, Placement
from mdm.model.products import product
from mdm.problems import Problem

WALKS = ("unroll", "scan")
REMAT = {
    "none": None,
    "dots": jax.checkpoint_policies.save_only_these_names(products.NAME),
    "full": jax.checkpoint_policies.nothing_saveable,
    "offload": jax.checkpoint_policies.save_and_offload_only_these_names(
        names_which_can_be_saved=(),
        names_which_can_be_offloaded=(products.NAME,),
        offload_src="device",
        offload_dst="pinned_host",
    ),
}
DTYPES = ("float32", "bfloat16")
NORM_EPSILON = 1e-6
_POSITIONS = ("rows", "positions")
_HIDDEN = (*_POSITIONS, None)
_TABLE = (None, "features")


@dataclasses.dataclass(frozen=True)
class ModelSettings:
    """Shape and execution of the network.

    hidden:     width of the SwiGLU branch; 0 means 8/3 of `width`, rounded up to a multiple of 64
    walk:       "unroll" (CPU: a scan costs about a quarter) or "scan" (accelerators: compile time independent of depth)
    remat:      what is recomputed in the backward pass: "none", "dots" (all but products with weights), "full" (a layer), or
                "offload": like "dots", but the products wait in the memory of the host (TPU and GPU)
    head_chunk: positions the output head takes at a time
    """

    width: int = 128
    depth: int = 4
    head_size: int = 32
    hidden: int = 0
    rope_base: float = 10_000.0
    embedding_std: float = 1.0
    unembedding_std: float = 0.0
    attention: str = "reference"
    walk: str = "unroll"
    remat: str = "none"
    compute_dtype: str = "float32"
    head_chunk: int = 1024
    parameterization: ParameterizationSettings = ParameterizationSettings()

    @property
    def heads(self) -> int:
        return self.width // self.head_size

    @property
    def hidden_width(self) -> int:
        return self.hidden or -(-self.width * 8 // 3 // 64) * 64

    def problems(self, at: str) -> list[Problem]:
        found = []
        for key in ("width", "depth", "head_size", "head_chunk"):
            if getattr(self, key) < 1:
                found.append(Problem(f"{at}.{key}", getattr(self, key), "must be positive", "set it to 1 or more"))
        if self.head_size > 0 and (self.width % self.head_size or self.head_size % 2):
            found.append(
                Problem(
                    f"{at}.head_size", self.head_size, f"odd, or no divisor of width {self.width}", "64 or 128 is usual"
                )
            )
        for key, legal in (
            ("walk", WALKS),
            ("remat", tuple(REMAT)),
            ("compute_dtype", DTYPES),
            ("attention", tuple(attention.BACKENDS)),
        ):
            if getattr(self, key) not in legal:
                found.append(Problem(f"{at}.{key}", getattr(self, key), "unknown", f"use one of {legal}"))
        if self.hidden < 0 or self.rope_base <= 1 or self.embedding_std < 0 or self.unembedding_std < 0:
            found.append(
                Problem(at, None, "hidden, rope_base or an initial deviation is negative", "see ModelSettings")
            )
        zeros = () if self.unembedding_std else ("unembedding",)
        return found + self.parameterization.problems(f"{at}.parameterization", zeros)


class Block(nnx.Module):
    """One layer. Built with a leading N on every parameter; called on one layer's slice of them."""

    def __init__(self, settings: ModelSettings, tensor: Callable[..., nnx.Param]):
        n, d, h, k, f = settings.depth, settings.width, settings.heads, settings.head_size, settings.hidden_width
        self.attention_norm = tensor(("attention_norm",), "norm", (n, d), ("layer", "width"))
        self.qkv = tensor(
            ("query", "key", "value"), "hidden", (n, 3, d, h, k), ("layer", None, "width", "heads", None), fan_in=d
        )
        self.query_norm = tensor(("query_norm",), "qk_norm", (n, k), ("layer", None))
        self.key_norm = tensor(("key_norm",), "qk_norm", (n, k), ("layer", None))
        self.out = tensor(("out",), "hidden", (n, h, k, d), ("layer", "heads", None, "width"), fan_in=d)
        self.mlp_norm = tensor(("mlp_norm",), "norm", (n, d), ("layer", "width"))
        self.gate_up = tensor(("gate", "up"), "hidden", (n, 2, d, f), ("layer", None, "width", "hidden"), fan_in=d)
        self.down = tensor(("down",), "hidden", (n, f, d), ("layer", "hidden", "width"), fan_in=f)

    def __call__(self, x, rotation, *, attend: Callable[..., tuple[jax.Array, Any]], residual: float):
        """[B, L, D] -> [B, L, D] and what `attend` keeps. attend: (query, key, value) -> (mixed, kept)."""
        dtype = x.dtype
        h = rms_norm(x, self.attention_norm[...])
        # One product for each of the three: a joint one would hand every consumer a strided view (CPU: 79 against 61 ms).
        q, k, v = (product("bld,dhk->blhk", h, w) for w in self.qkv[...].astype(dtype))
        q = positions.rotate(rms_norm(q, self.query_norm[...]), rotation)
        k = positions.rotate(rms_norm(k, self.key_norm[...]), rotation)
        mixed, kept = attend(q, k, v)
        x = x + residual * product("blhk,hkd->bld", mixed, self.out[...].astype(dtype))
        h = rms_norm(x, self.mlp_norm[...])
        gate, up = (product("bld,df->blf", h, w) for w in self.gate_up[...].astype(dtype))
        return x + residual * product("blf,fd->bld", jax.nn.silu(gate) * up, self.down[...].astype(dtype)), kept


class Transformer(nnx.Module):
    """Token ids to hidden states; the output columns are held here and used by the head."""

    def __init__(
        self,
        settings: ModelSettings,
        vocabulary_size: int,
        output_size: int,
        ranges: int,
        rngs: nnx.Rngs,
        placement: Placement = ONE_DEVICE,
    ):
        self.settings = settings
        tensor = functools.partial(_tensor, settings, rngs, placement)
        d = settings.width
        self.embedding = tensor(("embedding",), "embedding", (vocabulary_size, d), (None, "features"))
        # Row `ranges` is for positions without a range: index NO_RANGE = -1 finds it.
        self.range_embedding = tensor(("range_embedding",), "embedding", (ranges + 1, d), (None, "features"))
        self.blocks = Block(settings, tensor)
        self.final_norm = tensor(("final_norm",), "final_norm", (d,), ("width",))
        self.unembedding = tensor(("unembedding",), "unembedding", (output_size, d), (None, "features"))

    def __call__(self, ids, segments, position, ranges, placement: Placement = ONE_DEVICE):
        """int32 [B, L], int32 [B, L], int32 [B, L, 3], int8 [B, L] -> [B, L, D] in the compute dtype."""
        attend = self._whole(segments, placement)
        return self._run(ids, position, ranges, lambda q, k, v, _: (attend(q, k, v), None), None, placement)[0]

    def keep(self, ids, segments, position, ranges, placement: Placement = ONE_DEVICE):
        """As `__call__`, with a cache: the segments, and by layer keys and values, as `part` reads them."""
        attend = self._whole(segments, placement)

        def keeping(q, k, v, _):
            return attend(q, k, v), (attention.kept(k), attention.kept(v))

        hidden, kept = self._run(ids, position, ranges, keeping, None, placement)
        return hidden, (segments, kept)

    def part(self, ids, segments, position, ranges, place, cache, placement: Placement = ONE_DEVICE):
        """As `__call__` for the positions at `place` alone, int32 [B, S] as the others; see `CachingDenoiser`."""
        every, kept = cache

        def attend(q, k, v, own):
            return attention.attend_with_kept(q, k, v, segments, place, *own, every), None

        return self._run(ids, position, ranges, attend, kept, placement)[0]

    def _whole(self, segments, placement: Placement):
        kernel = functools.partial(attention.attend, self.settings.attention, placement=placement)
        return lambda q, k, v: kernel(q, k, v, segments)

    def _run(self, ids, position, ranges, attend, kept, placement: Placement):
        """Hidden states, and what `attend` keeps of each layer. attend: also given what each layer had `kept` before."""
        settings = self.settings
        x = _lookup(self.embedding[...], self.range_embedding[...], ids, ranges, settings.compute_dtype, placement)
        rotation = _rotation(position, settings, placement)
        graph, stacked = nnx.split(self.blocks)
        residual = residual_multiplier(settings.parameterization, settings.depth)

        def layer(x, own):
            state, before = own
            block, x = nnx.merge(graph, state), placement.constrain(x, _HIDDEN)
            x, after = block(x, rotation, attend=lambda *qkv: attend(*qkv, before), residual=residual)
            return placement.constrain(x, _HIDDEN), after

        x, kept = _walk(_remat(layer, settings), x, stacked, kept, settings)
        return rms_norm(x, self.final_norm[...]), kept


def _lookup(embedding, range_embedding, ids, ranges, dtype: str, placement: Placement) -> jax.Array:
    """[B, L, D]: each device gathers the tables, in the compute dtype, and looks its own positions up."""

    def own(embedding, range_embedding, ids, ranges):
        cut = placement.names("features")
        return _entries(embedding, ids, dtype, cut) + _entries(range_embedding, ranges, dtype, cut)

    inputs = (_TABLE, _TABLE, _POSITIONS, _POSITIONS)
    return placement.local(own, inputs, _HIDDEN)(embedding, range_embedding, ids, ranges)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _entries(table, at, dtype: str, cut: tuple[str, ...]) -> jax.Array:
    """[..., D] in `dtype`: rows `at` of a table [N, D], of whose width each device has a part if it is `cut`.

    The gradient of a row is summed in the table's own precision: thousands of positions share one ([MASK], a range), and in
    bfloat16 their sum would be wrong by per cents.
    """
    table = table.astype(dtype)
    return (lax.all_gather(table, cut, axis=1, tiled=True) if cut else table)[at]


def _entries_forward(table, at, dtype, cut):
    return _entries(table, at, dtype, cut), (table, at)


def _entries_backward(dtype, cut, kept, cotangent):
    table, at = kept
    whole = jnp.zeros((len(table), cotangent.shape[-1]), table.dtype).at[at].add(cotangent.astype(table.dtype))
    return lax.psum_scatter(whole, cut, scatter_dimension=1, tiled=True) if cut else whole, None


_entries.defvjp(_entries_forward, _entries_backward)


def _rotation(position, settings: ModelSettings, placement: Placement) -> tuple[jax.Array, jax.Array]:
    """Cosines and sines [B, L, 1, K/2], row by row: what a loop made is kept, where XLA for CPUs would fuse the sines into every
    one of their uses and compute them six times a layer (a seventh of a small step)."""

    def row(position):
        cos, sin = positions.rotations(position[None], settings.head_size, settings.rope_base)
        return cos[0], sin[0]

    cut = (*_POSITIONS, None, None)
    return placement.local(lambda position: lax.map(row, position), ((*_POSITIONS, None),), (cut, cut))(position)


def rms_norm(x: jax.Array, gain: jax.Array) -> jax.Array:
    """x / sqrt(mean of x**2) * gain over the last dim, computed in float32."""
    wide = x.astype(jnp.float32)
    scale = lax.rsqrt(jnp.mean(wide * wide, axis=-1, keepdims=True) + NORM_EPSILON)
    return (wide * scale * gain).astype(x.dtype)


def _tensor(
    settings: ModelSettings, rngs: nnx.Rngs, placement: Placement, modules, role: str, shape, axes, fan_in: int = 1
) -> nnx.Param:
    """A parameter of `role`, with its initialisation from the table, annotated with its logical axes.

    modules: names of what it holds, for the multipliers: one, or as many as its dim 1 has
    """
    own = tensor_scales(settings.parameterization, role, modules, axes, settings.width, settings.depth)
    base_fan_in = fan_in / settings.parameterization.wider(settings.width)
    std = {
        "embedding": settings.embedding_std,
        "hidden": base_fan_in**-0.5,
        "unembedding": settings.unembedding_std,
    }.get(role)  # the other roles are gains, which begin at 1
    key = rngs.params()
    value = jnp.ones(shape) if std is None else std * own.init * _normal(key, shape, axes, placement)
    return nnx.Param(value.astype(jnp.float32), role=role, axes=axes, modules=modules)


def _normal(key: jax.Array, shape, axes, placement: Placement) -> jax.Array:
    """Standard normal numbers, the same on any placement. A dim that is not cut is drawn as one with the dim before it: what a
    draw costs XLA:CPU to compile grows fourfold with every dim (five dims 11 s, one 0.4 s)."""
    merged: list[int] = []
    for size, axis in zip(shape, axes, strict=True):
        if merged and not placement.names(axis):
            merged[-1] *= size
        else:
            merged.append(size)
    return jax.random.normal(key, merged).reshape(shape)


def _remat(layer, settings: ModelSettings):
    if settings.remat == "none":
        return layer
    # A loop keeps XLA from merging the recomputation with the first pass; unrolled layers need the barrier.
    return jax.checkpoint(layer, policy=REMAT[settings.remat], prevent_cse=settings.walk == "unroll")


def _walk(layer, x, stacked, kept, settings: ModelSettings):
    """What is kept of the layers is stacked by a scan, and a tuple where they are unrolled: nothing is copied."""
    if settings.walk == "scan":
        return lax.scan(layer, x, (stacked, kept))
    # lax.split, because its transpose is one concatenation; N slices would transpose into N full-size additions.
    layers = jax.tree.map(lambda leaf: lax.split(leaf, [1] * settings.depth), stacked)
    after = []
    for number in range(settings.depth):
        own = jax.tree.map(lambda _, parts: parts[number][0], stacked, layers, is_leaf=_is_array)  # noqa: B023
        x, now = layer(x, (own, kept and kept[number]))
        after.append(now)
    return x, tuple(after)


def _is_array(leaf) -> bool:
    return isinstance(leaf, jax.Array)
