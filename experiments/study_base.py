"""What the studies stand on: a small model on the data of the quickstart, or the pilot for real hardware.

On two CPU cores launch/quickstart.sh prepares the data; a trial of the smallest model then takes half a minute. `FILE:pod` of
every study takes experiments/tri_modal_320m.py in place of it, with the data set that --data names.

The batch rule is off: a study that is about it sets its own base. The laptop's base rate of 2^-6 was set before it was
measured; by the studies of width and depth the best one at 320 steps of four rows is 0.0092 (0.0052 to 0.0124). Studies of other
batches and horizons take 2^-6 over as it is. An adaptive density forgets half within corruption.adaptive_half_life tokens: the
default of a million is longer than a laptop's whole run, so there it is nearly a mean over all of it.
"""

import runpy
from pathlib import Path

from ml_collections import ConfigDict

_EXPERIMENTS = Path(__file__).parent


def get_config(size: str = "laptop") -> ConfigDict:
    """Hyperparameters are those of the shape, batch and horizon that all studies start from."""
    if size == "pod":
        c = runpy.run_path(str(_EXPERIMENTS / "tri_modal_320m.py"))["get_config"]()
        c.model.width, c.model.depth = 512, 4
        c.training.batch_size = 64
        batch, horizon = 64 * c.data.row_length, 2_000_000_000
        # Tuned at no other batch or horizon than its own: the pilot's base is not that of the studies.
        c.optimizer.batch_scaling.base_batch = c.optimizer.batch_scaling.base_horizon = 0
        c.corruption.adaptive_half_life = 200 * batch
    else:
        c = runpy.run_path(str(_EXPERIMENTS / "demo.py"))["get_config"]()
        c.model.width, c.model.depth, c.model.head_size = 64, 2, 32
        c.training.batch_size = 4
        batch, horizon = 4 * c.data.row_length, 320 * 4 * c.data.row_length
    c.model.parameterization.base_width, c.model.parameterization.base_depth = c.model.width, c.model.depth
    c.optimizer.learning_rate = 2.0**-6 if size == "laptop" else c.optimizer.learning_rate
    c.corruption.mode = "independent"
    c.training.tokens = horizon
    c.optimizer.warmup_tokens = horizon // 10
    c.optimizer.ema_half_life = horizon // 50
    c.optimizer.clip = 0.0  # it would see another noise at every batch size, and hide a rate that is too high
    c.training.log_every = max(1, horizon // batch // 16)
    c.checkpoints.every = horizon // batch
    c.checkpoints.latest, c.checkpoints.keep_every = 1, 0
    c.evaluation.documents = 96
    c.evaluation.samples = 2
    return c
