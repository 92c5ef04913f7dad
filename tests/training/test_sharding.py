"""What a mesh must not change: rows, noise, loss, gradients; and what it must refuse."""

import dataclasses
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from mdm.data import manifest
from mdm.runs import log
from mdm.runs.checkpoint import CheckpointReader
from mdm.runs.folder import RunFolder
from mdm.training import sharding
from mdm.training.loop import TrainingSettings, build_step
from mdm.training.mesh import Devices, MeshSettings, make_mesh

ROOT = Path(__file__).parents[2]


def start(module: str, devices: int, *arguments: str) -> subprocess.Popen:
    environment = os.environ | {"XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}"}
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process: subprocess.Popen) -> str:
    out, error = process.communicate(timeout=600)
    assert process.returncode == 0, error[-4000:]
    return out


@pytest.mark.parametrize("which, variants", [("some", 1), pytest.param("all", 16, marks=pytest.mark.slow)])
def test_a_mesh_changes_neither_rows_nor_noise_nor_loss_nor_gradients(make_job, which, variants):
    """8 simulated devices against one. Sums over devices are taken in another order: about 2**-24 of the largest term for each
    of the few hundred that are added, hence 1e-5 of the largest entry; what is counted is equal."""
    out = finish(start("tests.training.on_meshes", 8, make_job().data.directory, which))
    lines = [json.loads(line) for line in out.splitlines()]
    assert len(lines) == variants
    for line in lines:
        assert line["same_noise"] and line["same_counts"], line
        assert line["loss"] < 1e-6 and line["elbo"] < 1e-5 and line["gradient"] < 1e-5, line


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def train(make_job, run: Path, steps: int, processes: int, devices: int, mesh: dict) -> RunFolder:
    own = {"data": make_job().data.directory, "run": str(run), "steps": steps, "mesh": mesh, "processes": processes,
           "coordinator": f"127.0.0.1:{free_port()}"}  # fmt: skip
    started = [
        start("tests.training.on_processes", devices, json.dumps(own | {"process": i})) for i in range(processes)
    ]
    for process in started:
        finish(process)
    return RunFolder(run)


ONE, TWO, OTHER_TWO = (1, 1, {}), (2, 2, {"tensor": 2}), (2, 2, {"sequence": 4})


@pytest.fixture(scope="module")
def whole(make_job, tmp_path_factory):
    """Eight steps in one go on one device."""
    return train(make_job, tmp_path_factory.mktemp("whole") / "run", 8, *ONE)


@pytest.mark.parametrize(
    "first, second",
    [(TWO, ONE), *(pytest.param(*both, marks=pytest.mark.slow) for both in ((ONE, TWO), (OTHER_TWO, TWO)))],
)
def test_another_mesh_and_another_number_of_processes_go_on_with_the_same_run(make_job, whole, tmp_path, first, second):
    """Two processes stop after four steps and one goes on, or the other way round: rows and noise are those of one run, so
    its curve agrees, to what the order of sums makes of eight updates (1e-4)."""
    train(make_job, tmp_path / "run", 4, *first)
    folder = train(make_job, tmp_path / "run", 8, *second)
    lines, expected = log.read(folder), log.read(whole)
    assert [line["step"] for line in lines] == [2, 4, 6, 8] == [line["step"] for line in expected]
    assert CheckpointReader(folder.checkpoints).steps() == [4, 8] and folder.read_end()["step"] == 8
    for line, other in zip(lines, expected, strict=True):
        for name in line:
            if name.startswith("share_of"):
                assert line[name] == other[name], name
            elif name == "loss" or name.startswith("elbo_bits"):
                assert line[name] == pytest.approx(other[name], rel=1e-4), name


def test_every_array_has_a_place(make_job):
    job = make_job()
    mesh = make_mesh(job.mesh, jax.devices())
    step = build_step(job, manifest.load(job.data.directory).vocabulary, mesh)
    parameters = step.network.abstract_parameters()
    places = sharding.table(parameters, sharding.state_shardings(step, mesh).parameters)
    assert sum(place.held for place in places) == sum(leaf.size for leaf in jax.tree.leaves(parameters))
    assert {place.name for place in places} >= {"embedding", "blocks.qkv", "unembedding"}
    for name, spec in (("blocks.qkv", "(None, None, 'fsdp', 'tensor', None)"), ("final_norm", "('fsdp',)")):
        assert next(place for place in places if place.name == name).spec == spec


def test_an_axis_that_the_table_does_not_know_is_an_error():
    with pytest.raises(KeyError):
        sharding.spec(("rows", "colour"))


CASES = {
    "mesh ": ({"mesh": {"fsdp": 3}}, Devices(8, 1, "cpu")),
    "mesh.replica": ({"mesh": {"replica": 1}}, Devices(8, 2, "cpu")),
    "training.batch_size": ({"training": {"batch_size": 12}}, Devices(8, 1, "cpu")),
    "data.row_length": ({"mesh": {"sequence": 64}}, Devices(64, 1, "cpu")),
    "model.width": ({"mesh": {"tensor": 4}}, Devices(8, 1, "cpu")),
    "model.hidden": ({"mesh": {"tensor": 3}}, Devices(3, 1, "cpu")),
    "model.attention": ({"model": {"attention": "splash"}}, Devices(1, 1, "cpu")),
    "model.head_size": ({"model": {"attention": "splash"}}, Devices(1, 1, "tpu")),
}


@pytest.mark.parametrize("where", CASES)
def test_what_does_not_fit_the_devices_is_refused(make_job, where):
    changes, devices = CASES[where]
    problems = make_job(**changes).problems(devices)
    assert any(f"{problem} ".startswith(where) for problem in problems), problems
    assert all(problem.remedy for problem in problems)


def test_all_problems_at_once(make_job):
    job = make_job(mesh={"tensor": 5}, training={"batch_size": 3}, model={"attention": "cudnn"})
    where = {problem.where for problem in job.problems(Devices(16, 2, "cpu"))}
    assert {"mesh", "training.batch_size", "model.width", "model.attention"} <= where


def test_a_mesh_of_slices_has_a_replica_each():
    assert MeshSettings(tensor=2).shape(Devices(32, 2, "tpu")) == {"replica": 2, "fsdp": 8, "tensor": 2, "sequence": 1}
    assert MeshSettings().shape(Devices(4, 1, "tpu"))["replica"] == 1


@pytest.mark.parametrize(
    "own, most, parts", [(8, 0, 1), (8, 8, 1), (8, 3, 4), (8, 1, 8), (6, 4, 2), (7, 3, 7), (2, 5, 1)]
)
def test_micro_batches_are_as_few_as_the_memory_allows(own, most, parts):
    training = TrainingSettings(batch_size=own * 4, tokens=1, rows_at_a_time=most)
    assert training.micro_batches(4) == parts


@dataclasses.dataclass(frozen=True)
class FakeDevice:
    process_index: int


def test_hosts_read_what_their_devices_hold():
    """The rows of all processes together are the batch, whatever the mesh; processes that share rows both read them."""
    for shape, shared in (((1, 8, 1, 1), 1), ((2, 2, 2, 1), 1), ((1, 2, 1, 4), 2), ((1, 1, 8, 1), 4)):
        devices = np.array([FakeDevice(i // 2) for i in range(8)]).reshape(shape)
        read = [sharding.rows_read(devices, 16, process) for process in range(4)]
        assert sorted(set(np.concatenate(read).tolist())) == list(range(16))
        assert sum(map(len, read)) == 16 * shared
