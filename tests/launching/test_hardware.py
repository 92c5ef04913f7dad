"""The table of hardware: one place knows hosts, chips and the names that others give."""

import pytest

from mdm.launching.hardware import CPU, GPUS, TPUS, Hardware
from mdm.problems import Refusal
from mdm.training.chips import CHIPS


def of(text: str) -> Hardware:
    return Hardware.of(text, "--hardware")


@pytest.mark.parametrize(
    "text, hosts, chips, sold",
    [
        ("v4:2x2x1", 1, 4, "v4-8"),
        ("v4:4x4x4", 16, 64, "v4-128"),
        ("v5e:1x1", 1, 1, "v5litepod-1"),
        ("v5e:2x2", 1, 4, "v5litepod-4"),
        ("v5e:2x4", 2, 8, "v5litepod-8"),
        ("v5e:16x16", 64, 256, "v5litepod-256"),
        ("v5p:2x2x2", 2, 8, "v5p-16"),
        ("v5p:4x4x4", 16, 64, "v5p-128"),
        ("v5p:8x16x16", 512, 2048, "v5p-4096"),
        ("v6e:16x16", 64, 256, "v6e-256"),
    ],
)
def test_slices(text, hosts, chips, sold):
    hardware = of(text)
    assert (hardware.hosts, hardware.chips, hardware.accelerator_type) == (hosts, chips, sold)
    assert hardware.hosts * hardware.chips_a_host == chips and str(hardware) == text
    assert hardware.platform == "tpu"


def test_nodes():
    assert (of("h100:8").chips, of("h100:8").hosts, of("h100:8").platform) == (8, 1, "gpu")
    assert (of(CPU).chips, of(CPU).hosts, of(CPU).platform, str(of(CPU))) == (1, 1, "cpu", "cpu")


def test_the_names_are_those_of_preflight():
    assert {*TPUS, *GPUS} == set(CHIPS)


# The layouts of the "TPU v5p" page of Google Cloud's documentation, where a number of chips has several.
@pytest.mark.parametrize("grid", ["4x4x8", "4x8x8", "8x8x8", "4x12x12", "4x8x20", "8x8x12", "8x12x16", "12x16x16"])
def test_the_layout_that_google_cloud_makes(grid):
    chips = of(f"v5p:{grid}").chips
    others = [of(f"v5p:4x4x{chips // 16}")]
    assert all(other.compact == of(f"v5p:{grid}") for other in (*others, of(f"v5p:{grid}")))


@pytest.mark.parametrize(
    "text, remedy",
    [
        ("v5p", "multiples of 4"), ("v5p:4x4", "multiples of 4"), ("v5p:4x4x6", "multiples of 4"),
        ("v5p:8x4x4", "rising order"), ("v5p:32x32x32", "6144"), ("v5p:04x4x4", "multiples of 4"),
        ("v5e:4x4x4", "16x16"), ("v5e:3x3", "16x16"), ("v5e:32x32", "16x16"), ("v9:2x2", "v5p"),
        ("h100:0", "h100:8"), ("h100:9", "h100:8"), ("h100", "h100:8"), ("", "v5p"), ("cpu:1", "v5p"), ("v5p:4x4x4\n", "v5p"),
    ],
)  # fmt: skip
def test_hardware_that_does_not_exist(text, remedy):
    with pytest.raises(Refusal) as refusal:
        of(text)
    (problem,) = refusal.value.problems
    assert problem.where == "--hardware" and remedy in problem.remedy
