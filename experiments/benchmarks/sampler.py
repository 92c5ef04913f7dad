"""Writing a picture that fills a row of 1,024: kept keys and values against plain loops, at equal steps and committed tokens.

    python experiments/benchmarks/sampler.py [--width=256] [--depth=6] [--rounds=3] [--batch=1]

Random weights: speed only. One JSON line a contender, with its network calls over whole rows and over parts of them; then how
many programs were compiled for further prompts of the same shape, which must be none.
"""

import dataclasses
import functools
import json

import contest
import jax
import numpy as np
from absl import app, flags

from mdm.model.network import Network
from mdm.model.transformer import ModelSettings
from mdm.sampling.canvas import Request, build_canvas, layout_of
from mdm.sampling.sampler import sample
from mdm.sampling.settings import SamplerSettings
from mdm.tokens.vocabulary import Vocabulary

_WIDTH = flags.DEFINE_integer("width", 256, "model.width.", lower_bound=32)
_DEPTH = flags.DEFINE_integer("depth", 6, "model.depth.", lower_bound=1)
_BATCH = flags.DEFINE_integer("batch", 1, "Rows that are written at once.", lower_bound=1)
_ROUNDS = flags.DEFINE_integer("rounds", 3, "How often each contender runs.", lower_bound=1)
LENGTH, CAPTION, PICTURE = 1024, 20, (31, 32)
BLOCK, STEPS = 32, 4  # 8 positions a step
BLOCKS = PICTURE[0] * PICTURE[1] // BLOCK
PROMPTS = 4
COMPILED = "/jax/core/compile/backend_compile_duration"

IN_BLOCKS = SamplerSettings(order="confidence", steps=STEPS, block=BLOCK)
CONTENDERS = {
    "plain": SamplerSettings(order="confidence", steps=STEPS * BLOCKS),
    "plain, in blocks": IN_BLOCKS,
    "prefix": dataclasses.replace(IN_BLOCKS, cache="prefix"),
    "dual": dataclasses.replace(IN_BLOCKS, cache="dual"),
}


def canvas_of(vocabulary: Vocabulary, prompt: int):
    rng = np.random.default_rng(prompt)
    captions = rng.integers(vocabulary.ranges[0].symbols, size=(_BATCH.value, CAPTION))
    return build_canvas(
        [Request("text-to-image", {"text": own}, {"image": PICTURE}) for own in captions], vocabulary, LENGTH
    )


def main(_) -> None:
    vocabulary = Vocabulary.of({"text": (2048,), "image": (1024,)})
    settings = ModelSettings(width=_WIDTH.value, depth=_DEPTH.value, head_size=64, unembedding_std=1.0)
    network = Network(settings, vocabulary)
    parameters = jax.jit(lambda: network.initial_parameters(0))()
    canvas, seeds = canvas_of(vocabulary, 0), np.arange(_BATCH.value, dtype=np.uint32)
    layout = layout_of(canvas, vocabulary)

    def runner(rule: SamplerSettings):
        return jax.jit(lambda p, canvas, seeds: sample(network.bind(p), canvas, vocabulary, rule, seeds, layout))

    programs = {name: runner(rule) for name, rule in CONTENDERS.items()}
    facts = {}
    for name, run in programs.items():
        written = run(parameters, canvas, seeds)
        committed = int((canvas.masked & ~np.asarray(written.canvas.masked)).sum())
        calls = {"whole": int(written.calls.whole), "part": int(written.calls.part)}
        facts[name] = {"rows": _BATCH.value, "committed": committed, "network_calls": calls}
    runs = {name: functools.partial(run, parameters, canvas, seeds) for name, run in programs.items()}
    contest.contest("sampler", runs, _ROUNDS.value, facts)

    compiled = []
    jax.monitoring.register_event_duration_secs_listener(lambda event, *_, **__: compiled.append(event))
    for prompt in range(1, PROMPTS):
        jax.block_until_ready(programs["dual"](parameters, canvas_of(vocabulary, prompt), seeds + np.uint32(prompt)))
    line = {"benchmark": "sampler", "further_prompts": PROMPTS - 1, "programs_compiled": compiled.count(COMPILED)}
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    app.run(main)
