"""A whole train step against the plain one (plain.py), on the same rows, and the share of the machine's peak that it reaches.

    python experiments/benchmarks/step.py --shape=dense     (width 512, 8 layers, rows of 512)
    python experiments/benchmarks/step.py --shape=pilot     (the 340 M model: most of its work is in the head; 15 GB)

One JSON line a contender: seconds, model FLOPs (mdm.model.flops) as a share of the peak that a large float32 product reached
in the same rounds. For the pilot, `bound` says what the products alone allow. Then where the time of this step goes.
"""

import json
import runpy
from pathlib import Path

import breakdown
import contest
import jax
import jax.numpy as jnp
import numpy as np
import plain
from absl import app, flags

from mdm import config
from mdm.data.mixture import Mixture
from mdm.model import flops
from mdm.tokens.rows import Batch, Segment, build_row, row_number, stack
from mdm.tokens.tasks import TASKS
from mdm.tokens.vocabulary import Vocabulary
from mdm.training import sharding
from mdm.training.loop import build_step
from mdm.training.mesh import make_mesh

_SHAPE = flags.DEFINE_enum("shape", "dense", ("dense", "pilot"), "Which model.")
_ROUNDS = flags.DEFINE_integer("rounds", 7, "How often each contender runs.", lower_bound=1)
_BREAKDOWN = flags.DEFINE_bool("breakdown", True, "Trace some steps and say what they spend their time on.")
PEAK = 4096  # side of the product whose speed counts as the machine's peak
TASK_OF = {"text": "text", "image-text": "text-to-image", "audio-text": "text-to-speech"}
CAPTION = 12


def settings_of(shape: str):
    """The config of a shape, for CPU: float32, unrolled, the plain kernel."""
    if shape == "pilot":
        c = runpy.run_path(str(Path(__file__).parents[1] / "tri_modal_320m.py"))["get_config"]()
        c.model.walk, c.model.compute_dtype, c.model.attention, c.model.remat = "unroll", "float32", "reference", "none"
        c.training.rows_at_a_time = 0
        c.data.row_length, c.training.batch_size = 256, 10
    else:
        c = config.base()
        c.data.codebooks = {"text": (2048,), "image": (1000,), "audio": (960, 960)}
        for name, task in TASK_OF.items():
            own = config.stream({task.replace("-", "_"): 1.0}, split_documents=name == "text")
            c.data.streams[name.replace("-", "_")] = own
        c.data.stages = [config.stage(text=1, image_text=1)]
        c.data.row_length, c.training.batch_size, c.training.tokens = 512, 4, 10**9
        c.model.width, c.model.depth, c.model.head_size = 512, 8, 64
    c.model.head_chunk = (
        128  # about two hundred positions a range are masked: a larger chunk would be filled with nothing
    )
    c.data.directory = "none: random rows"
    return config.resolve(c).job


def random_batch(job, vocabulary: Vocabulary) -> Batch:
    """The first rows of the job's mixture, filled to the last position with random codes."""
    length, views = job.data.row_length, job.corruption.views
    numbers = np.arange(job.training.batch_size)
    names = tuple(job.data.streams)
    stream, ordinal = Mixture(job.data.stages, names, job.data.seed).locate(numbers // views)
    at = zip(stream, ordinal, strict=True)
    rows = [_random_row(names[s], vocabulary, length, np.random.default_rng((s, o))) for s, o in at]
    return Batch(stack(rows), row_number(numbers), stream.astype(np.int32), ordinal.astype(np.uint32))


def _random_row(stream: str, vocabulary: Vocabulary, length: int, rng: np.random.Generator):
    symbols = {m: [vocabulary.ranges[r].symbols for r in vocabulary.ranges_of(m)] for m in ("text", "image", "audio")}
    if stream == "text":
        document = {"text": rng.integers(symbols["text"][0], size=length - 3)}
    elif stream == "image-text":
        side = int((length - CAPTION - 4) ** 0.5)
        caption = length - 4 - side * side
        document = {
            "text": rng.integers(symbols["text"][0], size=caption),
            "image": rng.integers(symbols["image"][0], size=(side, side)),
        }
    else:
        books = len(symbols["audio"])
        frames = (length - CAPTION - 5) // books
        document = {
            "text": rng.integers(symbols["text"][0], size=CAPTION),
            "audio": np.stack([rng.integers(size, size=frames) for size in symbols["audio"]], axis=1),
        }
    tails = {m: 1 for m in document if m != "image"}
    return build_row([Segment(document, TASKS[TASK_OF[stream]], tails)], vocabulary, length)


class Runner:
    """A jitted step and the state it carries on."""

    def __init__(self, run, state, batch):
        self._run, self._state, self._batch = run, state, batch

    def __call__(self):
        self._state, out = self._run(self._state, self._batch)
        return out


def main(_) -> None:
    job = settings_of(_SHAPE.value)
    vocabulary = Vocabulary.of(job.data.codebooks)
    batch = random_batch(job, vocabulary)
    mesh = make_mesh(job.mesh, jax.devices()[:1])
    step = build_step(job, vocabulary, mesh)
    run, _ = sharding.jit_step(step, mesh)
    initial, plain_step = plain.train_step(job.model, vocabulary, job.corruption)

    length, rows = job.data.row_length, job.training.batch_size
    columns = {r.size: 0.0 for r in vocabulary.ranges}
    for number, own in enumerate(vocabulary.ranges):
        # Of the targets, half are masked: pairs are complementary, and schedules of the rest are uniform.
        columns[own.size] += float(((batch.rows.ranges == number) & (batch.rows.roles == 2)).sum()) / 2
    body, masked = flops.body(job.model, length) * rows, flops.head(job.model, columns)
    dense = flops.head(job.model, {vocabulary.output_size: float(rows * length)})
    needed = flops.TRAINING * (body + masked)

    with jax.set_mesh(mesh):
        ours = run.lower(sharding.abstract_state(step, mesh), batch, step.numbers).compile()
        state = jax.jit(step.initial, out_shardings=sharding.state_shardings(step, mesh))()
        square = jnp.ones((PEAK, PEAK))
        product = jax.jit(jnp.matmul)
        contenders = {
            "mdm": Runner(
                lambda *own: ours(*own, step.numbers), state, sharding.global_batch(mesh, rows, np.arange(rows), batch)
            ),
            "plain": Runner(jax.jit(plain_step, donate_argnums=0), jax.jit(initial)(), batch),
            "peak": lambda: product(square, square),
        }
        facts = {name: {"shape": _SHAPE.value, "model_flops": needed} for name in ("mdm", "plain")}
        facts["plain"]["bound"] = round((body + dense) / (body + masked), 2)
        seconds = contest.contest("step", contenders, _ROUNDS.value, facts)
        peak = 2 * PEAK**3 / np.median(seconds["peak"])
        for name in ("mdm", "plain"):
            took = float(np.median(seconds[name]))
            line = {
                "benchmark": "step",
                "contender": name,
                "share_of_peak": round(needed / took / peak, 3),
                "executed_share_of_peak": round(
                    (needed if name == "mdm" else flops.TRAINING * (body + dense)) / took / peak, 3
                ),
                "positions_per_second": round(rows * length / took),
            }
            print(json.dumps(line), flush=True)
        if _BREAKDOWN.value:
            parts = breakdown.of(contenders["mdm"], ours.as_text())
            print(json.dumps({"benchmark": "step", "contender": "mdm", "share_of_busy_time": parts}))


if __name__ == "__main__":
    app.run(main)
