"""The real train step, compiled for devices that need not be there: proves lowering, partitioning, kernels and memory."""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import Sequence

import jax
from jax.experimental import topologies

from mdm.problems import Problem, Refusal
from mdm.tokens.vocabulary import Vocabulary
from mdm.training import sharding
from mdm.training.chips import CHIPS, GIB
from mdm.training.loop import Job, build_step
from mdm.training.mesh import make_mesh

_EXAMPLES = "v4:2x2x2, v5e:16x16, v5p:4x4x4, v6e:16x16"


@dataclasses.dataclass(frozen=True)
class Compiled:
    """Of one device. arguments: state and batch; temporaries: all else that is alive at once. Bytes.

    too_large: what the compiler said when the program did not fit; sizes are then those it named
    """

    seconds: float
    arguments: int
    temporaries: int
    custom_calls: int
    too_large: str | None = None

    @property
    def used(self) -> int:
        return self.arguments + self.temporaries

    def fits(self, limit: float | None) -> bool:
        """In so many bytes a device; None where the limit is not known."""
        return self.too_large is None and (limit is None or self.used <= limit)


def topology(name: str, slices: int) -> Sequence[jax.Device]:
    """The devices of `slices` TPU slices called e.g. v5p:4x4x4. Raises Refusal if there is no such topology, or no libtpu."""
    chip, _, grid = name.partition(":")
    if chip not in CHIPS or not re.fullmatch(r"\d+(x\d+)+", grid):
        raise Refusal(Problem("--topology", name, "is not a topology", f"use one like {_EXAMPLES}"))
    try:
        # Slices are asked for only where there are several: one slice is spelled without them.
        more = {"num_slices": slices} if slices > 1 else {}
        return topologies.get_topology_desc(platform="tpu", topology_name=name, **more).devices
    except Exception as error:  # libtpu raises what it likes
        reason = str(error).strip().splitlines()[0]
        if "libtpu" in reason.lower() and "topology" not in reason.lower():
            raise Refusal(Problem("--topology", name, reason, "install the extra: pip install 'mdm[tpu]'")) from error
        raise Refusal(
            Problem("--topology", name, f"cannot be opened ({reason})", f"use one like {_EXAMPLES}")
        ) from error


def compile_step(job: Job, vocabulary: Vocabulary, devices: Sequence[jax.Device]) -> Compiled:
    """Compiles the step of a job that fits `devices` in number; nothing is allocated."""
    mesh = make_mesh(job.mesh, devices)
    step = build_step(job, vocabulary, mesh)
    run, _ = sharding.jit_step(step, mesh)
    batch = sharding.abstract_batch(job.training.batch_size, job.data.row_length, mesh)
    state = sharding.abstract_state(step, mesh)  # under no mesh: Optax makes its placeholders on this machine
    began = time.perf_counter()
    with jax.set_mesh(mesh):
        lowered = run.trace(state, batch, step.numbers).lower()
        try:
            compiled = lowered.compile()
        except jax.errors.JaxRuntimeError as error:
            return too_large(str(error), time.perf_counter() - began)
    sizes = compiled.memory_analysis()
    extra = sizes.output_size_in_bytes - sizes.alias_size_in_bytes
    calls = compiled.as_text().count('custom_call_target="tpu_custom_call"')
    return Compiled(
        time.perf_counter() - began, sizes.argument_size_in_bytes, sizes.temp_size_in_bytes + max(0, extra), calls
    )


def too_large(message: str, seconds: float) -> Compiled:
    """What is known of a program that its compiler refused for want of memory: it names the size in one of two ways, the
    second where arguments or temporaries alone are more than there is. Raises RuntimeError if it refused for another reason."""
    if "RESOURCE_EXHAUSTED" not in message:
        raise RuntimeError(message)
    sizes = (r"Used ([\d.]+)([KMGT]) of [\d.]+[KMGT] hbm", r"\(([\d.]+)([KMGT])\) exceeds available HBM")
    used = next(filter(None, (re.search(size, message) for size in sizes)), None)
    size = float(used[1]) * {"K": 2**10, "M": 2**20, "G": GIB, "T": 2**40}[used[2]] if used else 0
    return Compiled(seconds, 0, int(size), 0, message.strip().splitlines()[0])
