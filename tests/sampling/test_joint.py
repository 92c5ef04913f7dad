"""With the exact conditionals of a joint distribution, orders that are blind to what they drew reproduce it.

Three positions of 24 symbols. One outcome has probability 0.8; 200 others, most of 0.001 and less, share the rest: a draw that
is too coarse for rare symbols gets their mass wrong.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdm.sampling.canvas import Request, layout_of
from mdm.sampling.sampler import sample
from mdm.sampling.settings import SamplerSettings
from mdm.tokens.vocabulary import Vocabulary
from tests.sampling.conftest import BayesOptimal

SYMBOLS = 24
VOCABULARY = Vocabulary.of({"text": (7,), "image": (SYMBOLS,)})
PICTURE = Request("text-to-image", {"text": np.array([1], np.int32)}, {"image": (1, 3)})
CHUNK = 1 << 16
MILLION = 16 * CHUNK  # 1,048,576
SHORT = 2 * CHUNK
HITTING = SamplerSettings(order="first-hitting")


def make_joint():
    rng = np.random.default_rng(0)
    joint = np.zeros(SYMBOLS**3)
    joint[1 + rng.choice(SYMBOLS**3 - 1, 200, replace=False)] = 0.2 * rng.dirichlet(np.full(200, 2.0))
    joint[0] = 0.8
    return joint.reshape((SYMBOLS,) * 3)


JOINT = make_joint()


def distance(repeat, rule, draws, denoiser=BayesOptimal):
    """Total variation between `draws` samples and the joint."""
    canvas, places = repeat(PICTURE, VOCABULARY, 10, CHUNK)
    bound = denoiser(JOINT, VOCABULARY, 1, places)
    layout = layout_of(canvas, VOCABULARY)
    run = jax.jit(
        lambda canvas, seeds: sample(bound, canvas, VOCABULARY, rule, seeds, layout).canvas.rows.ids[:, places]
    )
    counts = np.zeros(JOINT.shape)
    for start in range(0, draws, CHUNK):
        drawn = np.asarray(run(canvas, np.arange(start, start + CHUNK, dtype=np.uint32)))
        np.add.at(counts, tuple((drawn - VOCABULARY.ranges[1].start).T), 1)
    return np.abs(counts / draws - JOINT).sum() / 2


def narrow_noise(monkeypatch):
    """Gumbel noise as bfloat16 gives it."""

    def gumbel(keys, symbols):
        flat = jax.vmap(lambda key: jax.random.gumbel(key, (symbols,), jnp.bfloat16))(keys.reshape(-1))
        return flat.reshape(*keys.shape, symbols).astype(jnp.float32)

    monkeypatch.setattr("mdm.sampling.draws.gumbel", gumbel)


class Narrow(BayesOptimal):
    """The same with bfloat16 logits, at a distance from 0 as networks have them (softmax does not see it)."""

    def logits(self, hidden, number):
        return (hidden + 40).astype(jnp.bfloat16)


def test_most_outcomes_are_rare():
    assert ((JOINT > 0) & (JOINT <= 1e-3)).sum() > 100 and np.isclose(JOINT.sum(), 1)


@pytest.mark.parametrize(
    "rule",
    [HITTING, SamplerSettings(order="random", steps=3), SamplerSettings(order="first-hitting", block=2)],
    ids=lambda rule: f"{rule.order}-{rule.block}",
)
def test_one_position_at_a_time_draws_from_the_joint_distribution(rule, repeat):
    """Short form: the noise of 131,072 draws is 0.007."""
    assert distance(repeat, rule, SHORT) < 0.01


@pytest.mark.slow
def test_ancestral_draws_approach_the_joint_distribution(repeat):
    """Something remains, since now and then two positions are uncovered in one of few steps."""
    few, many = (distance(repeat, SamplerSettings(steps=steps), CHUNK) for steps in (4, 48))
    assert many < 0.03 < 0.05 < few


@pytest.mark.slow
@pytest.mark.parametrize("rule", [HITTING, SamplerSettings(steps=256)], ids=lambda rule: rule.order)
def test_a_million_draws(rule, repeat):
    assert distance(repeat, rule, MILLION) < 0.01


@pytest.mark.parametrize("what", ["noise", "logits"])
def test_a_draw_in_bfloat16_is_seen(what, repeat, monkeypatch):
    if what == "noise":
        narrow_noise(monkeypatch)
    assert distance(repeat, HITTING, SHORT, Narrow if what == "logits" else BayesOptimal) > 0.01
