"""A network as the rest of the house sees it: plain trees of arrays, and a denoiser when they are bound."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx, traverse_util

from mdm.model import head
from mdm.model.placement import ONE_DEVICE, Placement
from mdm.model.transformer import ModelSettings, Transformer
from mdm.tokens.vocabulary import Vocabulary

Parameters = dict[str, Any]
"""Nested dict of arrays; layer parameters are stacked, [layers, ...]."""


@dataclasses.dataclass(frozen=True)
class Network:
    """The shape of a network, without parameters: makes them, describes them, and binds them into a denoiser.

    placement: where activations lie, and what runs on each device's own part
    """

    settings: ModelSettings
    vocabulary: Vocabulary
    placement: Placement = ONE_DEVICE

    def _module(self, rngs: nnx.Rngs) -> Transformer:
        v = self.vocabulary
        return Transformer(self.settings, v.size, v.output_size, len(v.ranges), rngs, self.placement)

    @functools.cached_property
    def _abstract(self) -> tuple[nnx.GraphDef, nnx.State]:
        return nnx.split(nnx.eval_shape(lambda: self._module(nnx.Rngs(0))))

    def initial_parameters(self, seed: int | jax.Array) -> Parameters:
        """Nested dict of float32 arrays. Pure: may be jitted with output shardings or passed to eval_shape."""
        return nnx.to_pure_dict(nnx.split(self._module(nnx.Rngs(seed)))[1])

    def abstract_parameters(self) -> Parameters:
        """The same tree as `initial_parameters`, of ShapeDtypeStructs."""
        return nnx.to_pure_dict(self._abstract[1])

    def annotations(self, name: str) -> Parameters:
        """The tree of parameters with each leaf replaced by its "role" (str) or its logical "axes" (tuple)."""
        flat = {path: leaf.get_metadata()[name] for path, leaf in nnx.to_flat_state(self._abstract[1])}
        return traverse_util.unflatten_dict(flat)

    def bind(self, parameters: Parameters) -> BoundNetwork:
        """The denoiser with these parameters."""
        graph, state = self._abstract
        state = jax.tree.map(lambda x: x, state)
        nnx.replace_by_pure_dict(state, parameters)
        return BoundNetwork(nnx.merge(graph, state), self.vocabulary, self.placement)


@dataclasses.dataclass(frozen=True)
class BoundNetwork:
    """A `diffusion.denoiser.CachingDenoiser`."""

    module: Transformer
    vocabulary: Vocabulary
    placement: Placement

    def hidden(self, ids, segments, positions, ranges):
        return self.module(ids, segments, positions, ranges, self.placement)

    def hidden_and_cache(self, ids, segments, positions, ranges):
        return self.module.keep(ids, segments, positions, ranges, self.placement)

    def hidden_of_part(self, ids, segments, positions, ranges, place, cache):
        return self.module.part(ids, segments, positions, ranges, place, cache, self.placement)

    def cross_entropy(self, hidden, target, ranges, weight, z_weight):
        columns = self.module.unembedding[...]
        bounds = tuple((r.start, r.stop) for r in self.vocabulary.ranges)
        chunk = self.module.settings.head_chunk
        return head.cross_entropy(hidden, columns, target, ranges, weight, z_weight, bounds, chunk, self.placement)

    def logits(self, hidden, number):
        own = self.vocabulary.ranges[number]
        columns = self.module.unembedding[...][own.start : own.stop].astype(hidden.dtype)
        return jnp.einsum("...d,vd->...v", hidden, columns, preferred_element_type=jnp.float32)
