"""The pilot: 340 M parameters, of which 240 M are embeddings, 13 B tokens. As tri_modal_3b.py but for what is set here.

python -m mdm.preflight --config=experiments/tri_modal_320m.py --topology=v5e:2x4      (no TPU needed)
python -m mdm.train --config=experiments/tri_modal_320m.py:v5e --config.data.directory=/data --workdir=gs://… --distributed
"""

import runpy
from pathlib import Path

from ml_collections import ConfigDict

ROWS_AT_A_TIME = {"v4": 4, "v5p": 8, "v5e": 4, "v6e": 4, "h100": 8}
LARGE = runpy.run_path(str(Path(__file__).with_name("tri_modal_3b.py")))


def get_config(hardware: str = "v5p") -> ConfigDict:
    c = LARGE["get_config"](hardware)
    c.model.width, c.model.depth = 1024, 8
    tokens_a_step = 256 * c.data.row_length // 2
    c.optimizer.warmup_tokens = 1000 * tokens_a_step
    c.optimizer.ema_half_life = 500 * tokens_a_step
    c.training.rows_at_a_time = ROWS_AT_A_TIME[hardware]
    c.training.batch_size = 256
    c.training.tokens = 13_000_000_000
    return c
