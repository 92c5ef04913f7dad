"""The mesh: the devices of a job, as a grid of four axes.

replica:  rows of the batch; each has the parameters whole, so only gradients cross the data-centre network between slices
fsdp:     rows of the batch, and parameters cut along their width, gathered when used
tensor:   heads and hidden width; the positions of the output head
sequence: positions of a row; keys and values are gathered
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import jax
import numpy as np
from jax.experimental import mesh_utils
from jax.sharding import AxisType, Mesh

from mdm.problems import Problem

AXES = ("replica", "fsdp", "tensor", "sequence")


@dataclasses.dataclass(frozen=True)
class Devices:
    """How many devices of which platform ("cpu", "gpu", "tpu") there are, in how many slices: parts that only the data-centre
    network joins (of GPUs, as JAX tells them: the nodes)."""

    count: int
    slices: int
    platform: str

    @classmethod
    def of(cls, devices: Sequence[jax.Device]) -> Devices:
        return cls(len(devices), len({_slice(device) for device in devices}), devices[0].platform)


def _slice(device: jax.Device) -> int:
    return getattr(device, "slice_index", 0)  # a CPU has none


@dataclasses.dataclass(frozen=True)
class MeshSettings:
    """Size of each mesh axis. replica = 0: one for each slice; fsdp = 0: the devices that the others leave."""

    replica: int = 0
    fsdp: int = 0
    tensor: int = 1
    sequence: int = 1

    def problems(self, at: str) -> list[Problem]:
        least = {"replica": 0, "fsdp": 0, "tensor": 1, "sequence": 1}
        return [
            Problem(f"{at}.{axis}", getattr(self, axis), f"below {low}", "use 1 to switch an axis off")
            for axis, low in least.items()
            if getattr(self, axis) < low
        ]

    def shape(self, devices: Devices) -> dict[str, int]:
        """Size of each of AXES on these devices."""
        replica = self.replica or devices.slices
        others = replica * self.tensor * self.sequence
        fsdp = self.fsdp or max(1, devices.count // others)
        return dict(zip(AXES, (replica, fsdp, self.tensor, self.sequence), strict=True))

    def misfits(self, at: str, devices: Devices) -> list[Problem]:
        """What keeps this mesh from being laid over these devices."""
        shape, found = self.shape(devices), []
        if int(np.prod(list(shape.values()))) != devices.count:
            remedy = f"choose factors of {devices.count}, or fsdp = 0"
            found.append(Problem(at, shape, f"does not fill {devices.count} devices", remedy))
        if shape["replica"] % devices.slices:
            reason = f"the other axes would cross the network between {devices.slices} slices"
            found.append(Problem(f"{at}.replica", self.replica, reason, f"use 0, or a multiple of {devices.slices}"))
        return found


def make_mesh(settings: MeshSettings, devices: Sequence[jax.Device]) -> Mesh:
    """The mesh over `devices`, which it fits, laid out along the links of a TPU where there are any."""
    own = Devices.of(devices)
    shape = tuple(settings.shape(own).values())
    if own.platform != "tpu":
        grid = np.asarray(devices).reshape(shape)
    elif own.slices > 1:
        inside, between = (shape[0] // own.slices, *shape[1:]), (own.slices, 1, 1, 1)
        grid = mesh_utils.create_hybrid_device_mesh(inside, between, devices, allow_split_physical_axes=True)
    else:
        grid = mesh_utils.create_device_mesh(shape, devices, allow_split_physical_axes=True)
    return Mesh(grid, AXES, axis_types=(AxisType.Auto,) * len(AXES))
