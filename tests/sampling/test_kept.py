"""Keys and values that are kept, in a network in which they get out of date: the sampler against a loop in plain Python."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdm.model.network import Network
from mdm.model.transformer import ModelSettings
from mdm.sampling.canvas import Request, build_canvas
from mdm.sampling.settings import SamplerSettings
from tests.sampling.conftest import write

STEPS, BLOCK, IMAGE = 4, 6, 1  # the range of pictures


@pytest.fixture(scope="module")
def deep(vocabulary):
    """Three layers that see what the others wrote: without larger weights all positions of a picture get the same symbol."""
    network = Network(ModelSettings(width=16, depth=3, head_size=8, unembedding_std=3.0), vocabulary)
    own = network.initial_parameters(3)
    blocks = own["blocks"] | {name: 4 * own["blocks"][name] for name in ("qkv", "out", "gate_up", "down")}
    return network.bind({**own, "blocks": blocks, "range_embedding": 0.1 * own["range_embedding"]})


@pytest.fixture(scope="module")
def compiled(deep):
    return jax.jit(deep.hidden_and_cache), jax.jit(deep.hidden_of_part)


@pytest.fixture(scope="module")
def canvas(vocabulary):
    return build_canvas([Request("text-to-image", {"text": np.array([1, 5])}, {"image": (3, 4)})], vocabulary, 24)


def in_plain_python(denoiser, compiled, canvas, vocabulary, cache, made_anew):
    """The likeliest symbols, the surest first, in blocks of `BLOCK` over `STEPS` steps. made_anew: (block, step) -> bool."""
    rows, own = canvas.rows, vocabulary.ranges[IMAGE]
    hidden_and_cache, hidden_of_part = compiled
    ids, target = rows.ids.copy(), np.flatnonzero(canvas.masked[0])
    for start in range(0, len(target), BLOCK):
        open_ = target[start : start + BLOCK]
        for step in range(STEPS):
            if made_anew(start // BLOCK, step):
                hidden, kept = hidden_and_cache(ids, rows.segments, rows.positions, rows.ranges)
            else:
                used = np.flatnonzero(rows.segments[0] > 0)
                part = target[start : start + BLOCK] if cache == "dual" else used[used >= target[start]]
                at = lambda a, part=part: a[:, part]  # noqa: E731
                found = hidden_of_part(
                    at(ids), at(rows.segments), at(rows.positions), at(rows.ranges), part[None], kept
                )
                hidden = jnp.zeros((*ids.shape, found.shape[-1])).at[:, part].set(found)
            laws = np.asarray(jax.nn.log_softmax(denoiser.logits(hidden[:, open_], IMAGE), axis=-1))[0]
            left = len(open_) * (STEPS - step - 1) // (STEPS - step)
            surest = np.argsort(-laws.max(-1))[: len(open_) - left]
            ids[0, open_[surest]] = own.start + laws[surest].argmax(-1)
            open_ = np.delete(open_, surest)
    return ids


@pytest.mark.parametrize(("cache", "refresh"), [("dual", 0), ("dual", 2), ("prefix", 3),
                                                pytest.param("prefix", 0, marks=pytest.mark.slow)])  # fmt: skip
def test_a_cache_is_that_of_its_block_and_of_its_refresh(cache, refresh, deep, compiled, canvas, vocabulary):
    rule = SamplerSettings(order="confidence", temperature=0.0, steps=STEPS, block=BLOCK, cache=cache, refresh=refresh)
    found = np.asarray(write(deep, canvas, vocabulary, rule, np.array([3], np.uint32)).canvas.rows.ids)
    due = (lambda step: step % refresh == 0) if refresh else (lambda step: step == 0)
    wanted, *others = (
        in_plain_python(deep, compiled, canvas, vocabulary, cache, made_anew)
        for made_anew in (
            lambda block, step: due(step),
            lambda block, step: block == 0 and due(step),  # past its block
            lambda block, step: step == 0 if refresh else True,  # past its refresh; or at every step
        )
    )
    np.testing.assert_array_equal(found, wanted)
    assert all((other != wanted).any() for other in others)
