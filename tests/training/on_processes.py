"""Run by test_sharding.py as one of several processes: python -m tests.training.on_processes JSON, with the keys of `main`."""

import json
import sys
from pathlib import Path

import jax

from mdm.runs import starts
from mdm.runs.folder import RunFolder
from mdm.training.around import Around
from mdm.training.loop import train
from tests.training.conftest import tiny_job


def main(data: str, run: str, steps: int, mesh: dict, coordinator: str, processes: int, process: int) -> None:
    if processes > 1:
        jax.distributed.initialize(coordinator, processes, process)
    folder = RunFolder(run)
    changes = {"mesh": mesh, "training": {"tokens": steps * 8 * 96, "log_every": 2}, "checkpoints": {"every": 4}}
    # The horizon of the schedule is the budget; a constant one makes a run in two parts equal one in one. A large epsilon: with
    # a small one Adam's first updates are the signs of gradients, also of those that are nothing but rounding.
    changes["optimizer"] = {"schedule": "constant", "warmup_tokens": 0, "epsilon": 1e-3}
    changes["model"] = {"width": 32, "hidden": 64, "unembedding_std": 0.5}
    with starts.begin(folder, 0) as starting:
        train(tiny_job(Path(data), **changes), folder, starting, Around())


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
