"""One mesh, one table from logical to mesh axes, one function that applies it.

replica:  copies of the parameters, over the data-centre network between slices
fsdp:     rows of the batch, and parameters cut along their width, gathered when used
tensor:   heads, hidden width and vocabulary
sequence: positions of a row
"""

from __future__ import annotations

import dataclasses
import math

import jax
import numpy as np
import optax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from mdm.problems import Problem
from mdm.tokens.rows import Batch, Row
from mdm.training.step import State, Step

AXES = ("replica", "fsdp", "tensor", "sequence")

RULES: dict[str | None, str | tuple[str, ...] | None] = {
    "rows": ("replica", "fsdp"),
    "positions": "sequence",
    "layer": None,
    "width": "fsdp",
    "heads": "tensor",
    "hidden": "tensor",
    "vocabulary": "tensor",
    None: None,
}
"""Logical axis -> mesh axis. A logical axis that the table does not know is an error, not a silent copy."""


@dataclasses.dataclass(frozen=True)
class MeshSettings:
    """Size of each mesh axis; fsdp = 0 takes the devices that the others leave."""

    replica: int = 1
    fsdp: int = 0
    tensor: int = 1
    sequence: int = 1

    def problems(self, at: str, devices: int | None = None) -> list[Problem]:
        found = [
            Problem(f"{at}.{axis}", getattr(self, axis), "must be positive", "use 1 to switch an axis off")
            for axis in AXES
            if getattr(self, axis) < (0 if axis == "fsdp" else 1)
        ]
        if not found and devices is not None:
            others = self.replica * self.tensor * self.sequence
            if (devices % others) or (self.fsdp and self.fsdp * others != devices):
                shape = {axis: getattr(self, axis) for axis in AXES}
                found.append(
                    Problem(at, shape, f"does not fill {devices} devices", f"choose factors of {devices}, or fsdp = 0")
                )
        return found

    def shape(self, devices: int) -> tuple[int, ...]:
        """Sizes of AXES on so many devices."""
        others = self.replica * self.tensor * self.sequence
        return (self.replica, self.fsdp or devices // others, self.tensor, self.sequence)


def make_mesh(settings: MeshSettings, devices: list | None = None) -> Mesh:
    """The mesh over `devices` (by default all of them)."""
    devices = jax.devices() if devices is None else devices
    shape = settings.shape(len(devices))
    return Mesh(np.asarray(devices).reshape(shape), AXES, axis_types=(AxisType.Auto,) * len(AXES))


def data_shards(mesh: Mesh) -> int:
    """Parts into which the rows of a batch are cut."""
    return math.prod(mesh.shape[axis] for axis in RULES["rows"])


def sharding(mesh: Mesh, axes: tuple[str | None, ...]) -> NamedSharding:
    """Where an array with these logical axes lies."""
    return NamedSharding(mesh, PartitionSpec(*(RULES[axis] for axis in axes)))


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


def batch_shardings(mesh: Mesh) -> Batch:
    """The tree of shardings of a global batch."""
    row, positions = sharding(mesh, ("rows",)), sharding(mesh, ("rows", "positions"))
    return Batch(rows=Row(*(positions for _ in Row._fields)), number=row, stream=row, ordinal=row)
