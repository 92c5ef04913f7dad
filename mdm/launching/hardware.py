"""Hardware by the name that preflight uses, e.g. v5p:4x4x4, and what Google Cloud, GKE and XPK call it.

v5p:4x4x4  one TPU slice: generation and grid of chips
h100:8     one node with eight GPUs
cpu        a machine without an accelerator
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import re

from mdm.problems import Problem, Refusal


@dataclasses.dataclass(frozen=True)
class Generation:
    """Of TPUs. Sources: Google's pages "TPU configurations" and "TPU software versions", and XPK's table of systems.

    sold:     begins the name of an accelerator type, which ends in the number of cores
    cores:    of a chip, as they are counted there
    label:    of GKE's nodes
    runtime:  software of a TPU VM
    dims:     of a grid of chips
    most:     chips of a slice
    by_grid:  gcloud takes the grid itself, not only an accelerator type
    """

    sold: str
    cores: int
    label: str
    runtime: str
    dims: int
    most: int
    by_grid: bool = False


TPUS = {
    "v4": Generation("v4", 2, "tpu-v4-podslice", "tpu-ubuntu2204-base", 3, 4096, by_grid=True),
    "v5e": Generation("v5litepod", 1, "tpu-v5-lite-podslice", "v2-alpha-tpuv5-lite", 2, 256),
    "v5p": Generation("v5p", 2, "tpu-v5p-slice", "v2-alpha-tpuv5", 3, 6144),
    "v6e": Generation("v6e", 1, "tpu-v6e-slice", "v2-alpha-tpuv6e", 2, 256),
}
GPUS = ("h100",)
CPU = "cpu"
_FLAT = ("1x1", "2x2", "2x4", "4x4", "4x8", "8x8", "8x16", "16x16")
_SMALL = ("2x2x1", "2x2x2", "2x2x4", "2x4x4")  # in three dims; larger ones are whole cubes of 4 x 4 x 4
_SIDE = 4


@dataclasses.dataclass(frozen=True)
class Hardware:
    """One slice, or one node. grid: chips along each axis of a slice; of a node its number of GPUs."""

    name: str
    grid: tuple[int, ...]

    @classmethod
    def of(cls, text: str, where: str) -> Hardware:
        """Raises Refusal, naming `where`, for hardware that does not exist."""
        name, _, rest = text.partition(":")
        if text == CPU:
            return cls(CPU, ())
        if name in GPUS and re.fullmatch("[1-8]", rest):
            return cls(name, (int(rest),))
        if name in TPUS and re.fullmatch(r"[1-9]\d*(x[1-9]\d*)+", rest):
            grid = tuple(map(int, rest.split("x")))
            if _exists(TPUS[name], rest, grid):
                return cls(name, grid)
        raise Refusal(Problem(where, text, "there is no such hardware", _remedy(name)))

    def __str__(self) -> str:
        return f"{self.name}:{self.shape}" if self.grid else self.name

    @property
    def shape(self) -> str:
        """The grid as it is written: 4x4x4."""
        return "x".join(map(str, self.grid))

    @property
    def platform(self) -> str:
        """As JAX calls it."""
        return "tpu" if self.name in TPUS else "gpu" if self.name in GPUS else "cpu"

    @property
    def chips(self) -> int:
        """Also devices, as JAX counts them on all these generations; 1 for a CPU."""
        return math.prod(self.grid)

    @property
    def hosts(self) -> int:
        """Machines of a slice, as GKE lays it out: four chips each (XPK does the same)."""
        return max(1, self.chips // 4) if self.platform == "tpu" else 1

    @property
    def chips_a_host(self) -> int:
        return self.chips // self.hosts

    @property
    def generation(self) -> Generation:
        return TPUS[self.name]

    @property
    def accelerator_type(self) -> str:
        """As Google Cloud sells it, e.g. v5p-128. It says how many, not which grid: see `compact`."""
        return f"{self.generation.sold}-{self.chips * self.generation.cores}"

    @property
    def compact(self) -> Hardware:
        """The grid that Google Cloud makes of an accelerator type: of all with so many chips the one nearest to a cube."""
        if len(self.grid) < 3 or self.shape in _SMALL:
            return self
        cubes = self.chips // _SIDE**3
        sides = (
            (a, b, cubes // a // b)
            for a, b in itertools.combinations_with_replacement(range(1, cubes + 1), 2)
            if cubes % (a * b) == 0 and b <= cubes // a // b
        )
        return Hardware(self.name, tuple(side * _SIDE for side in min(sides, key=sum)))


def _exists(tpu: Generation, text: str, grid: tuple[int, ...]) -> bool:
    if tpu.dims == 2:
        return text in _FLAT
    whole = len(grid) == 3 and sorted(grid) == list(grid) and all(side % _SIDE == 0 for side in grid)
    return text in _SMALL or (whole and math.prod(grid) <= tpu.most)


def _remedy(name: str) -> str:
    if name in GPUS:
        return f"name the GPUs of a node, {name}:1 to {name}:8"
    if name not in TPUS:
        return f"use one like v5p:4x4x4 or h100:8; known are {', '.join((*TPUS, *GPUS, CPU))}"
    if TPUS[name].dims == 2:
        return f"{name} has slices of {', '.join(_FLAT)}"
    most = TPUS[name].most
    return f"{name} has slices of {', '.join(_SMALL)}, and of multiples of 4 in rising order, up to {most} chips"
