"""How fast rows are read: packed, mixed, laid out as a step takes them; against Grain's own packing.

    python experiments/benchmarks/reading.py [--rounds=7] [--batches=300] [--workers=2]

Documents of 1,024 to 4,095 tokens, and pairs of about 75, in rows of 1,024 from a local disk. Grain concatenates and splits the
former and packs the latter by first fit, of the same shards, mixed at the same ratio; what it yields is ids, segments and one
position axis, no ranges, roles, tasks or tails, and its rows cannot be had by number. One JSON line a contender.
"""

import json
import tempfile
from pathlib import Path

import contest
import grain
import made_up
import numpy as np
from absl import app, flags

from mdm.data import pipeline
from mdm.data.pipeline import Rows
from mdm.data.shards import ShardReader
from mdm.tokens.rows import Segment, build_row
from mdm.tokens.tasks import TASKS

_ROUNDS = flags.DEFINE_integer("rounds", 7, "How often each contender runs.", lower_bound=1)
_BATCHES = flags.DEFINE_integer("batches", 300, "Batches a measurement: many more than are kept ready.", lower_bound=1)
_BATCH = flags.DEFINE_integer("batch", 32, "Rows a batch.", lower_bound=1)
_WORKERS = flags.DEFINE_integer("workers", 2, "Processes of the contender that has them, and of Grain.", lower_bound=1)
_DOCUMENTS = flags.DEFINE_integer("documents", 5000, "Documents a shard, of four.", lower_bound=1)


class Documents:
    """The documents of one stream as flat ids: a source for Grain."""

    def __init__(self, rows: Rows, stream: str, task: str):
        self._readers = [ShardReader(rows.manifest.directory, s) for s in rows.manifest.streams[stream].shards["train"]]
        self._each = rows.manifest.streams[stream].shards["train"][0].documents
        self._task, self._vocabulary = TASKS[task], rows.manifest.vocabulary

    def __len__(self) -> int:
        return len(self._readers) * self._each

    def __getitem__(self, index: int):
        shard, at = divmod(int(index), self._each)
        document = self._readers[shard].read([at])[0].content
        if tuple(document) == ("text",):
            return {"ids": document["text"]}
        length = 3 + sum(codes.size for codes in document.values())
        return {"ids": build_row([Segment(document, self._task, {})], self._vocabulary, length).ids}


def grain_packed(rows: Rows, kind: str):
    task = next(iter(made_up.KINDS[kind][1].tasks))
    own = [grain.MapDataset.source(Documents(rows, name, task)).shuffle(seed=0).repeat() for name in ("one", "two")]
    data = grain.MapDataset.mix(own, [2 / 3, 1 / 3]).to_iter_dataset(grain.ReadOptions(num_threads=1))
    if kind == "prose":
        data = grain.experimental.ConcatThenSplitIterDataset(data, length_struct={"ids": made_up.ROW})
    else:
        data = grain.experimental.FirstFitPackIterDataset(data, length_struct={"ids": made_up.ROW}, num_packing_bins=64)
    data = data.batch(_BATCH.value)
    return iter(data.mp_prefetch(grain.MultiprocessingOptions(num_workers=_WORKERS.value, per_worker_buffer_size=4)))


def main(_) -> None:
    positions = _BATCHES.value * _BATCH.value * made_up.ROW
    for kind in made_up.KINDS:
        with tempfile.TemporaryDirectory(prefix="mdm-reading-") as directory:
            made_up.write(Path(directory), kind, _DOCUMENTS.value, 2)
            rows = {n: Rows(made_up.settings(Path(directory), kind, n)) for n in (0, _WORKERS.value)}
            batch = _BATCH.value
            streams = {
                f"mdm, {_WORKERS.value} workers": pipeline.batches(rows[_WORKERS.value], 0, batch),
                "mdm, one thread": pipeline.batches(rows[0], 0, batch),
                f"Grain, {_WORKERS.value} workers": grain_packed(rows[0], kind),
            }
            filled = dict.fromkeys(streams, 0)

            def read(name, streams=streams, filled=filled):
                for _ in range(_BATCHES.value):
                    found = next(streams[name])
                    own = found["ids_segment_ids"] if isinstance(found, dict) else found.rows.segments
                    filled[name] += int((own > 0).sum())

            runs = {name: lambda name=name: read(name) for name in streams}
            seconds = contest.contest(f"reading {kind}", runs, _ROUNDS.value, {})
            for name, stream in streams.items():
                speeds = positions / seconds[name]
                line = {
                    "benchmark": f"reading {kind}",
                    "contender": name,
                    "fill": round(filled[name] / positions / (_ROUNDS.value + 1), 4),
                    "million_positions_per_second": [
                        round(float(np.quantile(speeds, q)) / 1e6, 2) for q in (0.5, 0.25, 0.75)
                    ],
                }
                print(json.dumps(line), flush=True)
                stream.close()


if __name__ == "__main__":
    app.run(main)
