"""The output head against dense logits, at the pilot's shape: loss and gradients of one batch of positions.

    python experiments/benchmarks/head.py [--positions=2048] [--rounds=5]

One JSON line a contender, and one that compares their values. `bound` is what the products alone allow: columns of all
positions over columns that masked positions need.
"""

import functools
import json
import runpy
from pathlib import Path

import contest
import jax
import jax.numpy as jnp
import numpy as np
import plain
from absl import app, flags

from mdm.model import head
from mdm.tokens.vocabulary import Vocabulary

_POSITIONS = flags.DEFINE_integer("positions", 2048, "Positions of a batch.", lower_bound=16)
_CHUNK = flags.DEFINE_integer("chunk", 256, "model.head_chunk.", lower_bound=1)
_ROUNDS = flags.DEFINE_integer("rounds", 5, "How often each contender runs.", lower_bound=1)
MIXTURE = {"text": 0.6, "image": 0.2, "audio": 0.2}
MASKED = 0.5
PILOT = Path(__file__).parents[1] / "tri_modal_320m.py"


def main(_) -> None:
    pilot = runpy.run_path(str(PILOT))["get_config"]()
    vocabulary = Vocabulary.of(pilot.data.codebooks.to_dict())
    n, width = _POSITIONS.value, pilot.model.width
    rng = np.random.default_rng(0)
    own = [rng.choice(vocabulary.ranges_of(m)) for m in rng.choice(list(MIXTURE), n, p=list(MIXTURE.values()))]
    ranges = np.where(rng.random(n) < MASKED, own, -1).astype(np.int32)
    bounds = tuple((r.start, r.stop) for r in vocabulary.ranges)
    target = np.array([rng.integers(*bounds[r]) for r in own], np.int32)
    weight = rng.random(n).astype(np.float32)
    hidden = jnp.asarray(rng.standard_normal((n, width)), jnp.float32)
    columns = jnp.asarray(rng.standard_normal((vocabulary.output_size, width)) * width**-0.5, jnp.float32)

    def ours(hidden, columns):
        return head.cross_entropy(
            hidden, columns, target, ranges, weight, jnp.float32(0), bounds, _CHUNK.value
        )[0]  # fmt: skip

    def dense(hidden, columns):
        return plain.dense_cross_entropy(hidden, columns, target, ranges, weight, bounds)[0]

    needed = sum(int((ranges == number).sum()) * (stop - start) for number, (start, stop) in enumerate(bounds))
    compiled, facts = {}, {}
    for name, loss in (("head", ours), ("dense logits", dense)):
        compiled[name] = jax.jit(jax.value_and_grad(loss, (0, 1))).lower(hidden, columns).compile()
        temporaries = compiled[name].memory_analysis().temp_size_in_bytes
        facts[name] = {"temporaries_mib": round(temporaries / 2**20, 1)}
    facts["dense logits"]["bound"] = round(n * vocabulary.output_size / needed, 2)
    runs = {name: functools.partial(run, hidden, columns) for name, run in compiled.items()}
    contest.contest("head", runs, _ROUNDS.value, facts)

    (loss, gradients), (loss_dense, gradients_dense) = (run() for run in runs.values())
    worst = [float(jnp.abs(a - b).max() / jnp.abs(b).max()) for a, b in zip(gradients, gradients_dense, strict=True)]
    print(
        json.dumps(
            {
                "benchmark": "head",
                "loss": float(loss),
                "loss_difference": abs(float(loss) / float(loss_dense) - 1),
                "gradient_difference": {"hidden": worst[0], "columns": worst[1]},
            }
        )
    )


if __name__ == "__main__":
    app.run(main)
