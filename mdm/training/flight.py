"""The flight plan of a job: does it fit, what does it cost, who reads what. Made from a compilation and the roofline."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np

from mdm.columns import columns
from mdm.data.manifest import Manifest
from mdm.model import flops
from mdm.tokens.vocabulary import Vocabulary
from mdm.training import ahead, roofline, sharding
from mdm.training.ahead import Compiled
from mdm.training.chips import GIB, Chip
from mdm.training.loop import Job, build_step
from mdm.training.mesh import Devices, make_mesh
from mdm.training.roofline import Roofline
from mdm.training.sharding import Place
from mdm.training.work import Work, expected_work

DAY = 86400
REMATS = ("none", "dots", "offload", "full")
ROWS = (8, 4, 2, 1)
_BOUNDS = {
    "compute": "products of the layers",
    "hbm": "HBM, of the layers",
    "head": "products of the head",
    "head_hbm": "HBM, of the head",
    "links": "links",
    "network": "network",
    "optimizer": "optimizer",
}


@dataclasses.dataclass(frozen=True)
class Flight:
    """One job on one set of devices. roofline is None on a chip that the table does not know, limit where no device tells it."""

    shape: dict[str, int]
    micro_batches: int
    parameters: int
    places: tuple[Place, ...]
    work: Work
    flops_per_token: float
    tokens_per_step: float
    compiled: Compiled
    roofline: Roofline | None
    limit: float | None
    days: float | None

    @property
    def fits(self) -> bool:
        return self.compiled.fits(self.limit)

    def summary(self) -> dict[str, Any]:
        """What a program reads: the last line of preflight."""
        own, found = self.compiled, self.roofline
        return {
            "fits": self.fits,
            "hbm_gib_used": round(own.used / GIB, 3),
            "hbm_gib_limit": None if self.limit is None else round(self.limit / GIB, 3),
            "arguments_gib": round(own.arguments / GIB, 3),
            "temporaries_gib": round(own.temporaries / GIB, 3),
            "parameters": self.parameters,
            "mesh": self.shape,
            "micro_batches": self.micro_batches,
            "model_flops_per_token": self.flops_per_token,
            "tpu_custom_calls": own.custom_calls,
            "compile_seconds": round(own.seconds, 1),
            "estimated_step_seconds": found and round(found.step, 3),
            "estimated_mfu": found and round(found.mfu, 3),
            "estimated_days": self.days and round(self.days, 1),
        }


def fly(
    job: Job, vocabulary: Vocabulary, data: Manifest | None, devices: Sequence[jax.Device], chip: Chip | None
) -> Flight:
    """Compiles and estimates a job that fits `devices` in number."""
    mesh = make_mesh(job.mesh, devices)
    step = build_step(job, vocabulary, mesh)
    parameters = step.network.abstract_parameters()
    size = sum(leaf.size for leaf in jax.tree.leaves(parameters))
    shape = dict(mesh.shape)
    work = expected_work(job, vocabulary, data, shape["replica"])
    length, batch = job.data.row_length, job.training.batch_size
    compiled = ahead.compile_step(job, vocabulary, devices)
    bound = chip and roofline.estimate(job, work, shape, size, vocabulary.output_size, chip)
    steps = job.rows / batch
    return Flight(
        shape=shape,
        micro_batches=step.micro_batches,
        parameters=size,
        places=tuple(sharding.table(parameters, sharding.state_shardings(step, mesh).parameters)),
        work=work,
        flops_per_token=flops.TRAINING * work.row / length,
        tokens_per_step=batch * job.tokens_per_row,
        compiled=compiled,
        roofline=bound,
        limit=chip.hbm if chip else _limit_of(devices[0]),
        days=bound and bound.step * steps / DAY,
    )


def _limit_of(device: jax.Device) -> float | None:
    """Bytes that programs get of a device that is here, if it tells (a CPU does not)."""
    told = device.memory_stats()
    return told["bytes_limit"] if told and "bytes_limit" in told else None


def text(found: Flight, job: Job, devices: Sequence[jax.Device]) -> str:
    """Everything about a flight, for a person."""
    own, bound = found.compiled, found.roofline
    lines = ["Where every parameter lies", sharding.text(found.places)]
    lines += ["", "Who reads which rows of a batch", columns([("process", "devices", "rows"), *_readers(job, devices)])]
    facts = [
        ("parameters", f"{found.parameters:,}"),
        ("mesh", ", ".join(f"{axis} {size}" for axis, size in found.shape.items())),
        (
            "batch",
            f"{job.training.batch_size} rows of {job.data.row_length}, {found.tokens_per_step:,.0f} unique tokens",
        ),
        ("micro-batches", str(found.micro_batches)),
        ("compilation", f"{own.seconds:.0f} s, {own.custom_calls} TPU kernels"),
        ("memory of a device", _memory(found)),
        *(job.batch_scale.facts() if job.optimizer.batch_scaling.on else ()),
        *(("careful", warning) for warning in job.warnings),
        (
            "model FLOPs a token",
            f"{found.flops_per_token:.4g}: body {flops.TRAINING * found.work.body / job.data.row_length:.4g}",
        ),
    ]
    if bound:
        facts += [(f"bound by {told}", f"{getattr(bound, name):.3f} s") for name, told in _BOUNDS.items()]
        per_day = found.tokens_per_step / bound.step * DAY
        facts += [
            ("slowest replica", f"{bound.imbalance:.3f} of the mean"),
            ("step, estimated", f"{bound.step:.3f} s, MFU {bound.mfu:.1%}"),
            (
                "tokens a day, estimated",
                f"{per_day:.3g}: {found.days:.1f} days to the budget of {job.training.tokens:,}",
            ),
        ]
    lines += ["", columns(facts)]
    if bound:
        lines += ["", "Assumptions of the estimate:", *(f"  - {assumption}" for assumption in roofline.ASSUMPTIONS)]
    return "\n".join(lines)


@dataclasses.dataclass(frozen=True)
class Candidate:
    """What is recomputed and how many rows a data shard takes at a time, as it was compiled; seconds: estimated of a step."""

    remat: str
    rows_at_a_time: int
    compiled: Compiled
    fits: bool
    seconds: float | None

    def summary(self) -> dict[str, Any]:
        own = self.compiled.used / GIB
        return {
            "remat": self.remat, "rows_at_a_time": self.rows_at_a_time, "hbm_gib_used": round(own, 3),
            "estimated_step_seconds": self.seconds and round(self.seconds, 3),
        }  # fmt: skip

    def __str__(self) -> str:
        told = f"remat {self.remat}, rows_at_a_time {self.rows_at_a_time}: {self.compiled.used / GIB:.1f} GiB"
        told += f", estimated step {self.seconds:.3f} s" if self.seconds else ""
        return f"{told}, {'fits: the best of those that do' if self.fits else 'does not fit'}"


def search(
    job: Job,
    vocabulary: Vocabulary,
    devices: Sequence[jax.Device],
    chip: Chip | None,
    found: Flight,
) -> Iterator[Candidate]:
    """Candidates as they are compiled, fastest estimate first, until one fits. found: the flight of the job as it is, which is
    not compiled again."""
    candidates = []
    most = job.training.batch_size // sharding.data_shards(found.shape)
    for remat, rows in itertools.product(REMATS, [rows for rows in ROWS if rows <= most]):
        own = dataclasses.replace(
            job,
            model=dataclasses.replace(job.model, remat=remat),
            training=dataclasses.replace(job.training, rows_at_a_time=rows),
        )
        if not own.problems(Devices.of(devices)):
            size, columns = found.parameters, vocabulary.output_size
            seconds = roofline.estimate(own, found.work, found.shape, size, columns, chip).step if chip else None
            candidates.append((seconds or -rows, REMATS.index(remat), rows, own, seconds))
    for _, remat, rows, own, seconds in sorted(candidates, key=lambda c: c[:3]):
        compiled = found.compiled if own == job else ahead.compile_step(own, vocabulary, devices)
        candidate = Candidate(REMATS[remat], rows, compiled, compiled.fits(found.limit), seconds)
        yield candidate
        if candidate.fits:
            return


def _readers(job: Job, devices: Sequence[jax.Device]) -> Iterator[tuple[str, ...]]:
    grid = make_mesh(job.mesh, devices).devices
    processes = sorted({device.process_index for device in grid.flat})
    for process in processes[:4] + [p for p in processes[4:] if p == processes[-1]]:
        rows = sharding.rows_read(grid, job.training.batch_size, process)
        cuts = np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1)
        own = sum(device.process_index == process for device in grid.flat)
        yield str(process), str(own), ", ".join(f"{cut[0]}-{cut[-1]}" for cut in cuts)


def _memory(found: Flight) -> str:
    own, gib = found.compiled, lambda size: f"{size / GIB:.2f} GiB"
    limit = f" of {gib(found.limit)}" if found.limit else ""
    if own.too_large:
        return f"DOES NOT FIT: {own.too_large}"
    told = f"{gib(own.used)}{limit}: state and batch {gib(own.arguments)}, temporaries {gib(own.temporaries)}"
    return f"{told}, {1 - own.used / found.limit:.0%} free" if found.limit else told
