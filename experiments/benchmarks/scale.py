"""What the size of a data set costs a start: opening, memory, the first batch, and going on far into a run.

    python experiments/benchmarks/scale.py [--shards=1000] [--documents=10000]

A data set of that size beside one of a single shard of each stream, each opened in processes of its own, in turn. Packing plans
are made before, as preparation does once. One JSON line a measurement.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import made_up
import numpy as np
from absl import app, flags, logging

from mdm.data import pipeline
from mdm.data.pipeline import Rows

_SHARDS = flags.DEFINE_integer("shards", 1000, "Shards of the large data set.", lower_bound=2)
_DOCUMENTS = flags.DEFINE_integer("documents", 10_000, "Documents a shard.", lower_bound=1)
_ROUNDS = flags.DEFINE_integer("rounds", 5, "How often each is opened.", lower_bound=1)
_OPEN = flags.DEFINE_string("open", None, "Used by the program itself: a data set to open in this process.")
_FAR = 10**9


def opened(directory: Path) -> dict[str, float]:
    """Seconds and MiB that it takes in this process."""
    before, began = _peak(), time.perf_counter()
    rows = Rows(made_up.settings(directory, "pairs"))
    found = {"documents": sum(s.documents for s in rows.streams), "open_seconds": time.perf_counter() - began}
    for name, first in (("first_batch", 0), ("batch_at_10^9", _FAR)):
        began = time.perf_counter()
        batches = pipeline.batches(rows, first, 32)
        next(batches)
        found[f"{name}_seconds"] = time.perf_counter() - began
        batches.close()
    return found | {"memory_mib": _peak() - before, "memory_of_the_process_mib": _peak()}


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(_) -> None:
    if _OPEN.value:
        print(json.dumps(opened(Path(_OPEN.value))))
        return
    with tempfile.TemporaryDirectory(prefix="mdm-scale-") as root:
        sets = {"one shard": 1, "large": _SHARDS.value // 2}
        for name, count in sets.items():
            own = made_up.write(Path(root) / name, "pairs", _DOCUMENTS.value, count)
            began = time.perf_counter()
            Rows(own)
            logging.info("%s: packed in %.0f s", name, time.perf_counter() - began)
        found = {name: [] for name in sets}
        for _ in range(_ROUNDS.value):
            for name in sets:
                command = [sys.executable, __file__, f"--open={Path(root) / name}"]
                done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
                found[name].append(json.loads(done.stdout.splitlines()[-1]))
        for name, lines in found.items():
            line = {"benchmark": "scale", "data_set": name, "shards": 2 * sets[name]}
            for key in lines[0]:
                line[key] = [float(f"{np.quantile([own[key] for own in lines], q):.4g}") for q in (0.5, 0.0, 1.0)]
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    app.run(main)
