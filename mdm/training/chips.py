"""What the chips can do: data sheets, and for the links "How to Scale Your Model" (Austin et al. 2025)."""

from __future__ import annotations

import dataclasses

GIB = 2**30


@dataclasses.dataclass(frozen=True)
class Chip:
    """flops: bfloat16 products a second; hbm: bytes that programs get (of a GPU 75 %, what JAX takes unless it is told another
    XLA_PYTHON_CLIENT_MEM_FRACTION); hbm_bandwidth: bytes a second.

    link_bandwidth:    bytes a second over the links of one axis of the torus, both directions together (GPU: of the whole node)
    link_axes:         axes of the torus that one mesh axis can be spread over
    network_bandwidth: bytes a second and chip between slices or nodes
    """

    name: str
    kinds: tuple[str, ...]
    flops: float
    hbm: float
    hbm_bandwidth: float
    link_bandwidth: float
    link_axes: int
    network_bandwidth: float


CHIPS = {
    chip.name: chip
    for chip in (
        Chip("v4", ("TPU v4",), 2.75e14, 32 * GIB, 1.23e12, 9e10, 3, 6.25e9),
        Chip("v5e", ("TPU v5 lite", "TPU v5e"), 1.97e14, 15.75 * GIB, 8.1e11, 9e10, 2, 3.125e9),
        Chip("v5p", ("TPU v5", "TPU v5p"), 4.59e14, 95 * GIB, 2.76e12, 1.8e11, 3, 6.25e9),
        Chip("v6e", ("TPU v6 lite", "TPU v6e"), 9.18e14, 32 * GIB, 1.64e12, 1.8e11, 2, 12.5e9),
        Chip("h100", ("NVIDIA H100 80GB HBM3",), 9.89e14, 0.75 * 79.6 * GIB, 3.35e12, 9e11, 1, 5e10),
    )
}


def chip_of(device_kind: str) -> Chip | None:
    """The chip that JAX calls `device_kind`; None for one that this table does not know (a CPU)."""
    return next((chip for chip in CHIPS.values() if device_kind in chip.kinds), None)
