"""Run by test_sharding.py in a process of its own, since the count of simulated devices must stand before JAX starts:
python -m tests.training.on_meshes DATA some|all: one JSON line a variant, with its largest differences from one device."""

import dataclasses
import itertools
import json
import sys
from pathlib import Path

import jax
import numpy as np

from mdm.data import pipeline
from mdm.data.pipeline import Rows
from mdm.diffusion.corruption import corrupt
from mdm.training import sharding
from mdm.training.gradient import loss_and_gradient
from mdm.training.loop import build_step
from mdm.training.mesh import Devices, MeshSettings, make_mesh
from tests.training.conftest import tiny_job

MESHES = {
    "fsdp 8": MeshSettings(),
    "fsdp 4 x tensor 2": MeshSettings(tensor=2),
    "fsdp 2 x tensor 2 x sequence 2": MeshSettings(tensor=2, sequence=2),
    "replica 2 x fsdp 2 x sequence 2": MeshSettings(replica=2, sequence=2),
}
# Micro-batches of one row a shard; remat with the unrolled and with the scanned walk; blockwise attention.
EXECUTIONS = {
    "plain": ({}, 0),
    "accumulated": ({}, 1),
    "remat": ({"remat": "full"}, 0),
    "scanned, remat of dots, accumulated": ({"remat": "dots", "walk": "scan", "attention": "blockwise"}, 1),
}


def measure(job, vocabulary, batch, devices):
    """(noise, loss, nats, gradient, state after the update) on host."""
    assert not job.problems(Devices.of(devices))
    mesh = make_mesh(job.mesh, devices)
    step = build_step(job, vocabulary, mesh)
    own = sharding.rows_read(mesh.devices, job.training.batch_size, 0)
    assert list(own) == list(range(job.training.batch_size))

    def run(state, batch):
        corrupted = corrupt(batch, step.corruption, step.numbers.seed, vocabulary.mask)
        (loss, sums), gradient = loss_and_gradient(
            step.network, step.objective, state.parameters, batch.rows, corrupted, step.micro_batches
        )
        return corrupted, loss, sums, gradient, step(state, batch)[0]

    with jax.set_mesh(mesh):
        state = jax.jit(step.initial, out_shardings=sharding.state_shardings(step, mesh))()
        found = jax.jit(run)(state, sharding.global_batch(mesh, job.training.batch_size, own, batch))
    return jax.device_get(found)


def furthest(found, expected) -> float:
    """Largest difference of any entry, as a share of the largest entry of its array."""
    shares = jax.tree.map(lambda a, b: np.abs(a - b).max() / max(np.abs(b).max(), 1e-30), found, expected)
    return float(max(jax.tree.leaves(shares)))


def variants(which: str) -> list[tuple[str, str]]:
    """All, or one that has three axes of a mesh and every way to execute but the unrolled walk."""
    if which == "all":
        return list(itertools.product(MESHES, EXECUTIONS))
    return [("fsdp 2 x tensor 2 x sequence 2", "scanned, remat of dots, accumulated")]


def main(directory: str, which: str) -> None:
    model = {"width": 32, "hidden": 64, "unembedding_std": 0.5, "head_chunk": 16}
    base = tiny_job(Path(directory), model=model, training={"batch_size": 16}, objective={"z_loss": 1e-2})
    rows = Rows(base.data)
    vocabulary = rows.manifest.vocabulary
    batches = pipeline.batches(rows, 0, 16)
    batch = next(batches)
    batches.close()
    one = measure(base, vocabulary, batch, jax.devices()[:1])
    for mesh, execution in variants(which):
        changes, at_a_time = EXECUTIONS[execution]
        job = dataclasses.replace(
            base,
            mesh=MESHES[mesh],
            model=dataclasses.replace(base.model, **changes),
            training=dataclasses.replace(base.training, rows_at_a_time=at_a_time),
        )
        found = measure(job, vocabulary, batch, jax.devices())
        same_noise = jax.tree.all(jax.tree.map(np.array_equal, found[0], one[0]))
        counts = [getattr(sums, count) for sums in (found[2], one[2]) for count in ("maskable", "masked", "bin_masked")]
        line = {
            "variant": f"{mesh}, {execution}",
            "same_noise": bool(same_noise),
            "same_counts": all(np.array_equal(a, b) for a, b in zip(counts[:3], counts[3:], strict=True)),
            "loss": furthest(found[1], one[1]),
            "elbo": furthest(found[2].elbo, one[2].elbo),
            "gradient": furthest(found[3], one[3]),
        }
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
