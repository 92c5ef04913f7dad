"""Attention kernels that run on CPU, forward and backward, against JAX's own.

    python experiments/benchmarks/attention.py [--rounds=7]

One JSON line a kernel and shape: [rows, positions, heads, head size], four segments a row.
"""

import functools

import contest
import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags

from mdm.model import attention

_ROUNDS = flags.DEFINE_integer("rounds", 7, "How often each contender runs.", lower_bound=1)
SHAPES = ((8, 320, 3, 64), (4, 512, 8, 64), (1, 3072, 4, 128))
SEGMENTS = 4


def jax_own(query, key, value, query_segments, key_segments):
    """jax.nn.dot_product_attention with the same mask."""
    seen = query_segments[:, None, :, None] == key_segments[:, None, None, :]
    return jax.nn.dot_product_attention(query, key, value, mask=seen, implementation="xla")


def main(_) -> None:
    kernels = {"reference": attention.reference, "blockwise": attention.blockwise, "jax.nn": jax_own}
    for shape in SHAPES:
        rng = np.random.default_rng(0)
        q, k, v, pull = (jnp.asarray(rng.standard_normal(shape), jnp.float32) for _ in range(4))
        segments = np.repeat(np.arange(SEGMENTS, dtype=np.int32) + 1, shape[1] // SEGMENTS)[None].repeat(shape[0], 0)
        runs, facts = {}, {}
        for name, kernel in kernels.items():

            def loss(q, k, v, kernel=kernel, segments=segments, pull=pull):
                return jnp.sum(kernel(q, k, v, segments, segments) * pull)

            compiled = jax.jit(jax.value_and_grad(loss, (0, 1, 2))).lower(q, k, v).compile()
            runs[name] = functools.partial(compiled, q, k, v)
            temporaries = compiled.memory_analysis().temp_size_in_bytes
            facts[name] = {"shape": shape, "temporaries_mib": round(temporaries / 2**20, 1)}
        contest.contest("attention", runs, _ROUNDS.value, facts)


if __name__ == "__main__":
    app.run(main)
