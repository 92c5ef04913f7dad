"""The binary as it is run: a job compiled for chips that are not here. Needs the extra `tpu`."""

import importlib.util
import json
import subprocess
import sys

import pytest

from tests.test_config import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("libtpu") is None, reason="needs the extra tpu"),
]
SMALL = ("--config.model.width=256", "--config.model.depth=2", "--config.training.batch_size=64")


def preflight(*arguments):
    command = [sys.executable, "-m", "mdm.preflight", "--config=experiments/tri_modal_320m.py:v5e", *SMALL, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def last_line(done):
    return json.loads(done.stdout.strip().splitlines()[-1])


@pytest.mark.parametrize(("topology", "slices", "mesh"), [("v5e:2x4", 1, (1, 8)), ("v5p:2x2x1", 2, (2, 4))])
def test_a_small_job_fits_with_splash_kernels(topology, slices, mesh):
    done = preflight(f"--topology={topology}", f"--slices={slices}")
    assert done.returncode == 0, done.stderr
    found = last_line(done)
    # Forward, forward again, and back; the compiler may peel an iteration off the loop over micro-batches.
    assert found["fits"] and found["tpu_custom_calls"] >= 3
    assert 0 < found["hbm_gib_used"] < found["hbm_gib_limit"]
    assert (found["mesh"]["replica"], found["mesh"]["fsdp"]) == mesh


def test_products_that_wait_on_the_host_leave_the_chip():
    """remat=offload against none: the same program but for what it keeps in HBM."""
    deep = ("--config.model.depth=8", "--topology=v5e:2x4")
    kept = last_line(preflight(*deep, "--config.model.remat=none"))
    moved = last_line(preflight(*deep, "--config.model.remat=offload"))
    assert moved["temporaries_gib"] < 0.8 * kept["temporaries_gib"]


def test_what_does_not_fit_is_refused_with_the_figure():
    done = preflight("--topology=v5e:2x4", "--config.model.depth=64", "--config.model.remat=none",
                     "--config.training.batch_size=512", "--config.training.rows_at_a_time=0")  # fmt: skip
    assert done.returncode == 2
    found = last_line(done)
    assert not found["fits"] and found["hbm_gib_used"] > found["hbm_gib_limit"]
    assert f"{found['hbm_gib_used']:.1f}"[:-2] in done.stderr and "GiB a device" in done.stderr


def test_a_topology_that_does_not_exist_is_refused():
    done = preflight("--topology=v5e:3x5")
    assert done.returncode == 2 and "v5e:3x5" in done.stderr


def test_a_search_names_what_fits():
    done = preflight("--topology=v5e:2x4", "--search", "--config.training.batch_size=16")
    assert done.returncode == 0, done.stderr
    last = done.stdout.splitlines()[-1]
    found = json.loads(last)["search"]
    assert (
        f"remat {found['remat']}, rows_at_a_time {found['rows_at_a_time']}" in done.stdout
        and found["hbm_gib_used"] < 15.75
    )
