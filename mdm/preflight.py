"""python -m mdm.preflight --config=FILE --topology=v5p:4x4x4 [--slices=N]: proves a job before it costs money.

Lists every problem, compiles the real train step for devices that need not be there, and says whether it fits, who reads what,
and what it will cost. Without --topology: for this machine. --search tries what is recomputed and how many rows a chip holds.
The last line is one JSON object.
"""

import json
import os

import jax
from absl import flags

from mdm import command
from mdm.data import manifest
from mdm.problems import Problem, Refusal, refuse_if
from mdm.tokens.vocabulary import Vocabulary
from mdm.training import ahead, flight
from mdm.training.chips import CHIPS, GIB, chip_of
from mdm.training.mesh import Devices

_CONFIG = command.config_flag()
_TOPOLOGY = flags.DEFINE_string(
    "topology", None, "A TPU slice, e.g. v5p:4x4x4; by default the devices of this machine."
)
_SLICES = flags.DEFINE_integer("slices", 1, "How many slices.", lower_bound=1)
_SEARCH = flags.DEFINE_bool(
    "search", False, "Look for the best remat and rows_at_a_time that fit (a compilation each)."
)


def main() -> None:
    settings = command.settings(_CONFIG)
    job = settings.job
    # Whoever launches a job need not see its data: the codebooks of its config then stand for them.
    seen = job.data.directory and (not job.data.codebooks or os.path.exists(job.data.directory))
    data = manifest.load(job.data.directory) if seen else None
    if data is None and not job.data.codebooks:
        remedy = "name the codebooks of its codecs, or the prepared data set as data.directory"
        raise Refusal(Problem("data.codebooks", None, "the size of the vocabulary is not known", remedy))
    if _TOPOLOGY.value:
        jax.config.update("jax_platforms", "cpu")  # of this machine; what it has beside the CPU is not asked for
        # libtpu asks the cloud who it is, and locks the machine, unless it is told not to.
        os.environ |= {
            "TPU_SKIP_MDS_QUERY": "1",
            "TPU_WORKER_HOSTNAMES": "localhost",
            "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
        }
    vocabulary = data.vocabulary if data else Vocabulary.of(job.data.codebooks)
    devices = ahead.topology(_TOPOLOGY.value, _SLICES.value) if _TOPOLOGY.value else jax.devices()
    refuse_if(job.problems(Devices.of(devices)))
    chip = CHIPS[_TOPOLOGY.value.partition(":")[0]] if _TOPOLOGY.value else chip_of(devices[0].device_kind)
    found = flight.fly(job, vocabulary, data, devices, chip)
    print(flight.text(found, job, devices))
    best, summary = None, found.summary()
    if _SEARCH.value:
        for candidate in flight.search(job, vocabulary, devices, chip, found):
            print(candidate)
            best = candidate if candidate.fits else None
        summary["search"] = best and best.summary()
        print("" if best else "none fits: use more chips, or cut the model over the tensor axis")
    print(json.dumps(summary), flush=True)
    if not found.fits:
        own = found.compiled
        used = f"{own.used / GIB:.2f} GiB a device" if own.used else None
        reason = f"there are {found.limit / GIB:.2f}" if used and found.limit else own.too_large
        remedy = "take more devices, model.remat=full, or fewer training.rows_at_a_time; --search tries them"
        if best:
            remedy = f"take model.remat={best.remat} and training.rows_at_a_time={best.rows_at_a_time}, which fit"
        raise Refusal(Problem("memory", used, reason, remedy))


if __name__ == "__main__":
    command.run(main)
