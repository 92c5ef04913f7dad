"""The input pipeline: packed rows against one document a row (Grain's own shuffle and batch, padded), and what a step waits.

    python experiments/benchmarks/input.py --config=experiments/demo.py [--config.model.width=512 …] [--batches=50]

Needs the data set of the config. One JSON line a contender, with the positions a second that carry something; then how much
of its time the config's own train step stands waiting for rows.
"""

import json

import contest
import grain
import jax
import numpy as np
from absl import app, flags

from mdm import command
from mdm.data import pipeline
from mdm.data.pipeline import Rows
from mdm.data.shards import ShardReader
from mdm.tokens.rows import Segment, build_row, stack, tail_length
from mdm.tokens.tasks import TASKS
from mdm.training import clock as clocks
from mdm.training import sharding
from mdm.training.clock import Clock
from mdm.training.loop import build_step
from mdm.training.mesh import make_mesh

_CONFIG = command.config_flag()
_BATCHES = flags.DEFINE_integer("batches", 50, "Batches a measurement.", lower_bound=1)
_ROUNDS = flags.DEFINE_integer("rounds", 7, "How often each contender runs.", lower_bound=1)
_STEPS = flags.DEFINE_integer("steps", 30, "Train steps whose waiting is measured; 0 for none.", lower_bound=0)


class Documents:
    """Every document of the streams of a job as one padded row: a source for Grain. What is too long is cut."""

    def __init__(self, rows: Rows):
        self._length, self._vocabulary = rows.settings.row_length, rows.manifest.vocabulary
        self._tasks = {name: next(iter(stream.tasks)) for name, stream in rows.settings.streams.items()}
        self._places = []
        for name in rows.settings.streams:
            for shard in rows.manifest.streams[name].shards["train"]:
                reader = ShardReader(rows.manifest.directory, shard)
                self._places += [(name, reader, shard.first + index, index) for index in range(shard.documents)]

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int):
        name, reader, number, at = self._places[int(index)]
        document = reader.read([at])[0].content
        tails = {m: int(tail_length(document[m].size, number, m)) for m in document}
        if tuple(document) == ("text",):
            most = self._length - 2
            document = {"text": document["text"][:most]}
            tails = {"text": min(tails["text"], most - document["text"].size)}
        return build_row([Segment(document, TASKS[self._tasks[name]], tails)], self._vocabulary, self._length)


def padded(rows: Rows, batch: int):
    data = grain.MapDataset.source(Documents(rows)).shuffle(seed=0).repeat().batch(batch, batch_fn=stack)
    return iter(data.to_iter_dataset(grain.ReadOptions(num_threads=1, prefetch_buffer_size=rows.settings.prefetch)))


def main() -> None:
    job = command.settings(_CONFIG).job
    rows = Rows(job.data, job.corruption.views)
    size = job.training.batch_size
    streams = {"mdm": pipeline.batches(rows, 0, size), "one document a row": padded(rows, size)}
    filled = dict.fromkeys(streams, 0)

    def read(name):
        for _ in range(_BATCHES.value):
            batch = next(streams[name])
            own = batch.rows if name == "mdm" else batch
            filled[name] += int((own.segments > 0).sum())

    runs = {name: lambda name=name: read(name) for name in streams}
    seconds = contest.contest("input", runs, _ROUNDS.value, {})
    positions = _BATCHES.value * size * job.data.row_length
    for name in streams:
        fill = filled[name] / positions / (_ROUNDS.value + 1)
        line = {
            "benchmark": "input",
            "contender": name,
            "fill": round(fill, 4),
            "filled_positions_per_second": round(positions * fill / float(np.median(seconds[name]))),
        }
        print(json.dumps(line), flush=True)
    if _STEPS.value:
        print(json.dumps({"benchmark": "input", "steps": _STEPS.value} | waiting(job, rows, _STEPS.value)))


def waiting(job, rows: Rows, steps: int) -> dict[str, float]:
    """Of `steps` train steps after the first, as `mdm.train` takes them."""
    mesh = make_mesh(job.mesh, jax.devices())
    step = build_step(job, rows.manifest.vocabulary, mesh)
    run, _ = sharding.jit_step(step, mesh)
    size = job.training.batch_size
    batches = pipeline.batches(rows, 0, size)
    with jax.set_mesh(mesh):
        state = jax.jit(step.initial, out_shardings=sharding.state_shardings(step, mesh))()
        report, clock = None, Clock()
        for number in range(steps + 1):
            if number == 1:
                clock.start_steps()
            with clock.spent_on(clocks.INPUT):
                batch = next(batches)
            state, now = run(state, sharding.global_batch(mesh, size, np.arange(size), batch), step.numbers)
            jax.block_until_ready(report)
            report = now
        jax.block_until_ready(report)
    found = clock.figures(steps * size * job.data.row_length, 0.0, None)
    return {"seconds_per_step": found["seconds"] / steps, "input_wait_share": found["input_wait_share"]}


if __name__ == "__main__":
    app.run(lambda _: main())
