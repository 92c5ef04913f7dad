"""What the studies of samplers stand on: a finished run (`--run`, by default the long demo), and the defaults of a task."""

import dataclasses

from ml_collections import ConfigDict

from mdm.sampling.defaults import DEFAULTS


def get_config(task: str = "text-to-image") -> ConfigDict:
    """See `mdm.studies.sampling.SamplingSettings`."""
    return ConfigDict({
        "run": "runs/demo_long/run", "step": 12_000, "task": task, "split": "heldout", "documents": 48, "seed": 0,
        "slow": False, "sampler": dataclasses.asdict(DEFAULTS[task]),
    })  # fmt: skip
