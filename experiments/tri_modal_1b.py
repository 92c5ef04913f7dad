"""The middle model: 1.3 B parameters, 300 B tokens. As tri_modal_3b.py but for what is set here.

python -m mdm.preflight --config=experiments/tri_modal_1b.py --topology=v5e:16x16      (no TPU needed)
python -m mdm.train --config=experiments/tri_modal_1b.py:v5e --config.data.directory=/data --workdir=gs://… --distributed
"""

import runpy
from pathlib import Path

from ml_collections import ConfigDict

ROWS_AT_A_TIME = {"v4": 2, "v5p": 4, "v5e": 2, "v6e": 2, "h100": 4}
LARGE = runpy.run_path(str(Path(__file__).with_name("tri_modal_3b.py")))


def get_config(hardware: str = "v5p") -> ConfigDict:
    c = LARGE["get_config"](hardware)
    c.model.width, c.model.depth = 2048, 16
    tokens_a_step = 512 * c.data.row_length // 2
    c.optimizer.warmup_tokens = 1000 * tokens_a_step
    c.optimizer.ema_half_life = 500 * tokens_a_step
    c.training.rows_at_a_time = ROWS_AT_A_TIME[hardware]
    c.training.batch_size = 512
    c.training.tokens = 300_000_000_000
    return c
