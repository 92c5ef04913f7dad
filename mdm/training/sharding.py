"""One table from logical axes to the axes of the mesh, and one function that applies it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from mdm.columns import columns
from mdm.model.network import Network, Parameters
from mdm.model.placement import ONE_DEVICE, Axes, Placement
from mdm.model.transformer import ModelSettings
from mdm.problems import Problem
from mdm.tokens.rows import Batch, Row, build_row, row_number
from mdm.tokens.vocabulary import Vocabulary
from mdm.training.mesh import AXES
from mdm.training.step import State, Step

RULES: dict[str | None, str | tuple[str, ...] | None] = {
    "rows": ("replica", "fsdp"),
    "positions": "sequence",
    "layer": None,
    "width": "fsdp",
    "heads": "tensor",
    "hidden": "tensor",
    "features": ("fsdp", "tensor"),  # width of the tables of the vocabulary: of any size, so cut where all sizes divide
    "dealt": ("fsdp", "sequence"),  # chips among which the head deals its positions: not over the data-centre network
    "copies": "tensor",  # chips that hold the same positions
    None: None,
}
"""Logical axis -> mesh axis. A logical axis that the table does not know is an error, not a silent copy."""


def data_shards(shape: Mapping[str, int]) -> int:
    """Parts into which the rows of a batch are cut on a mesh of this shape (size by axis)."""
    return _parts(shape, "rows")


def _parts(shape: Mapping[str, int], axis: str | None) -> int:
    return math.prod(shape[name] for name in _names(axis))


def _names(axis: str | None) -> tuple[str, ...]:
    own = RULES[axis]
    return () if own is None else (own,) if isinstance(own, str) else own


def spec(axes: Axes) -> PartitionSpec:
    """Of an array with these logical axes."""
    return PartitionSpec(*(RULES[axis] for axis in axes))


def sharding(mesh: Mesh, axes: Axes) -> NamedSharding:
    """Where an array with these logical axes lies."""
    return NamedSharding(mesh, spec(axes))


@dataclasses.dataclass(frozen=True)
class OnMesh:
    """The `model.placement.Placement` of a mesh."""

    mesh: Mesh

    def constrain(self, array: jax.Array, axes: Axes) -> jax.Array:
        return jax.lax.with_sharding_constraint(array, sharding(self.mesh, axes))

    def local(self, function: Callable[..., Any], inputs: Any, outputs: Any) -> Callable[..., Any]:
        inputs, outputs = (_specs(tree) for tree in (inputs, outputs))
        # Pallas kernels and hand-written collectives do not say what varies over which axis.
        return jax.shard_map(function, mesh=self.mesh, in_specs=inputs, out_specs=outputs, check_vma=False)

    def names(self, axis: str) -> tuple[str, ...]:
        return tuple(name for name in _names(axis) if self.mesh.shape[name] > 1)

    @property
    def all_names(self) -> tuple[str, ...]:
        return tuple(name for name in AXES if self.mesh.shape[name] > 1)


def placement(mesh: Mesh) -> Placement:
    """Of the network on a mesh; a mesh of one device needs none."""
    return OnMesh(mesh) if mesh.size > 1 else ONE_DEVICE


def _specs(tree: Any) -> Any:
    """A tuple of axes is a leaf: its members are names, or it is empty."""
    is_axes = all(axis is None or isinstance(axis, str) for axis in tree)
    return spec(tree) if is_axes else tuple(_specs(part) for part in tree)


def problems(shape: Mapping[str, int], model: ModelSettings, row_length: int, batch_size: int) -> list[Problem]:
    """All that does not divide over a mesh of this shape."""
    cut = [
        ("training.batch_size", batch_size, "rows", "rows of a batch"),
        ("data.row_length", row_length, "positions", "positions of a row"),
        ("model.width", model.width, "features", "width"),
        ("model.width", model.heads, "heads", "heads"),
        ("model.hidden", model.hidden_width, "hidden", "width of the SwiGLU branch"),
    ]
    found = []
    for where, value, axis, what in cut:
        parts = _parts(shape, axis)
        if value % parts:
            reason = f"{value} {what} do not divide by the {parts} of {' x '.join(_names(axis))}"
            found.append(Problem(where, value, reason, f"use a multiple of {parts}, or another mesh"))
    return found


def state_shardings(step: Step, mesh: Mesh) -> State:
    """The tree of shardings of a run's state: what belongs to a parameter lies where it lies, the rest is on every device."""
    everywhere = NamedSharding(mesh, PartitionSpec())
    axes = step.network.annotations("axes")
    parameters = step.network.abstract_parameters()
    own = jax.tree.map(lambda _, names: sharding(mesh, names), parameters, axes)
    abstract = jax.eval_shape(step.initial)
    optimizer = optax.tree_utils.tree_map_params(
        step.optimizer, lambda _, place: place, abstract.optimizer, own, transform_non_params=lambda _: everywhere
    )
    places = jax.tree.map(lambda _: everywhere, abstract)
    return places._replace(parameters=own, ema=own, optimizer=optimizer)


def abstract_parameters(network: Network, mesh: Mesh) -> Parameters:
    """The parameters of a network as shapes that know where they lie."""
    return jax.tree.map(
        lambda leaf, axes: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding(mesh, axes)),
        network.abstract_parameters(),
        network.annotations("axes"),
    )


def abstract_state(step: Step, mesh: Mesh) -> State:
    """The state of a run as shapes that know where they lie: nothing is allocated."""
    return _abstract(jax.eval_shape(step.initial), state_shardings(step, mesh))


def abstract_batch(rows: int, row_length: int, mesh: Mesh) -> Batch:
    """A global batch as shapes that know where they lie."""
    row = build_row([], Vocabulary.of({}), row_length)
    one = Batch(row, row_number([0])[0], np.int32(0), np.uint32(0))
    wide = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((rows, *leaf.shape), leaf.dtype), one)
    return _abstract(wide, batch_shardings(mesh))


def _abstract(tree: Any, places: Any) -> Any:
    return jax.tree.map(lambda x, place: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=place), tree, places)


def jit_step(step: Step, mesh: Mesh) -> tuple[Callable, Callable]:
    """The compiled step, (state, batch, numbers) -> (state, report), and the compiled `take_window`. Both take the state over:
    what was given is gone."""
    places, everywhere = state_shardings(step, mesh), NamedSharding(mesh, PartitionSpec())
    run = jax.jit(step, donate_argnums=0, out_shardings=(places, everywhere))
    return run, jax.jit(step.take_window, donate_argnums=0, out_shardings=(places, everywhere))


def rows_read(devices: np.ndarray, batch_size: int, process: int) -> np.ndarray:
    """int64 [n], ascending: the rows of a batch, by offset, of which the devices of a process hold a part.

    devices: the grid of a mesh, by AXES. Processes whose devices share rows (tensor, sequence) all read them.
    """
    cut = [AXES.index(name) for name in _names("rows")]
    by_shard = np.moveaxis(devices, cut, range(len(cut))).reshape(math.prod(devices.shape[axis] for axis in cut), -1)
    own = [any(device.process_index == process for device in shard) for shard in by_shard]
    return np.flatnonzero(np.repeat(own, batch_size // len(own)))


def global_batch(mesh: Mesh, batch_size: int, own: np.ndarray, local: Batch) -> Batch:
    """The batch over the whole mesh, of which this process read the rows `own`."""

    def array(place: NamedSharding, values: np.ndarray) -> jax.Array:
        def part(index: tuple[slice, ...]) -> np.ndarray:
            start, stop, _ = index[0].indices(batch_size)
            first = np.searchsorted(own, start)  # rows of one device lie together, in the batch and here
            return values[(slice(first, first + stop - start), *index[1:])]

        return jax.make_array_from_callback((batch_size, *values.shape[1:]), place, part)

    return jax.tree.map(array, batch_shardings(mesh), local)


def everywhere(mesh: Mesh, values: Any) -> Any:
    """A tree of NumPy values, the same on every process, as arrays that every device holds."""
    place = NamedSharding(mesh, PartitionSpec())
    return jax.tree.map(lambda value: jax.make_array_from_callback(value.shape, place, lambda _: value), values)


def batch_shardings(mesh: Mesh) -> Batch:
    """The tree of shardings of a global batch."""
    row, positions = sharding(mesh, ("rows",)), sharding(mesh, ("rows", "positions"))
    return Batch(rows=Row(*(positions for _ in Row._fields)), number=row, stream=row, ordinal=row)


class Place(NamedTuple):
    """name, shape and dtype of an array; its spec, and how many elements of it one device holds."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    spec: str
    held: int


def table(tree: Parameters, places: Any) -> list[Place]:
    """Where every array of a tree lies; `places` has its structure."""
    found = []
    for (path, leaf), place in zip(jax.tree_util.tree_leaves_with_path(tree), jax.tree.leaves(places), strict=True):
        own = tuple(str(axis) if isinstance(axis, str) else axis for axis in place.spec)
        held = math.prod(place.shard_shape(leaf.shape))
        name = ".".join(str(getattr(key, "key", getattr(key, "name", key))) for key in path)
        found.append(Place(name, leaf.shape, str(leaf.dtype), str(own), held))
    return found


def text(places: Iterable[Place]) -> str:
    """A `table`, for a person."""
    cells = ((place.name, str(place.shape), place.spec, f"{place.held:,}") for place in places)
    return columns([("name", "shape", "axes of the mesh", "on a device"), *cells])
