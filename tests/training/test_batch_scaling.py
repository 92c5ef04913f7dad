"""kappa by hand, and what it is for: Adam under noise goes as far in as many tokens, whatever the batch."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mdm.model.network import Network
from mdm.model.transformer import ModelSettings
from mdm.tokens.vocabulary import Vocabulary
from mdm.training.batch_scaling import BatchScalingSettings, batch_scale
from mdm.training.optimizer import OptimizerSettings, optimizer, peak

BASE = BatchScalingSettings(base_batch=1000, base_horizon=10**6)


def test_nothing_changes_at_the_base_or_without_one():
    for settings, batch, horizon in ((BASE, 1000, 10**6), (BatchScalingSettings(), 77, 12345)):
        scale = batch_scale(settings, batch, horizon)
        assert scale.kappa == 1 and scale.learning_rate == 1 and scale.beta(0.9) == 0.9
        assert scale.logical_batch == batch and not list(scale.warnings(clip=1.0, beta=0.9))


def test_the_factors_of_four_times_the_batch():
    scale = batch_scale(BASE, 4000, 10**6)
    assert scale.kappa == 4 and scale.learning_rate == 2
    assert scale.beta(0.95) == pytest.approx(0.95**4)
    assert scale.logical_batch == 1000 and scale.logical_steps == 1000


@pytest.mark.parametrize("gamma", [0.0, 0.44, 1.0])
def test_a_longer_horizon_grows_the_logical_batch(gamma):
    settings = dataclasses.replace(BASE, gamma=gamma)
    scale = batch_scale(settings, 1000, 16 * 10**6)
    assert scale.kappa == pytest.approx(16**-gamma)
    assert scale.logical_batch == pytest.approx(1000 * 16**gamma)
    assert batch_scale(settings, scale.logical_batch, 16 * 10**6).kappa == pytest.approx(1)
    # Complete(d)P's rule at gamma = 1: learning rate by sqrt(m_B / m_D).
    assert scale.learning_rate == pytest.approx(16 ** (-gamma / 2))


def test_moments_that_hardly_average_are_warned_of():
    batch = int(BASE.base_batch)
    told = lambda times: " ".join(batch_scale(BASE, times * batch, BASE.base_horizon).warnings(clip=0, beta=0.9))  # noqa: E731
    assert "kappa (1 - beta) is 0.8" in told(8) and not told(1) and not told(2)


def test_a_batch_beyond_the_critical_one_and_clipping_are_warned_of():
    settings = dataclasses.replace(BASE, critical_steps=500)
    assert batch_scale(settings, 2000, 10**6).critical_batch == 2000
    assert not list(batch_scale(settings, 2000, 10**6).warnings(clip=0, beta=0.9))
    (told,) = batch_scale(settings, 2001, 10**6).warnings(clip=0, beta=0.9)
    assert "critical batch of 2,000" in told
    assert any("clip" in warning for warning in batch_scale(settings, 500, 10**6).warnings(clip=1.0, beta=0.9))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"base_batch": 0}, "base_batch"),
        ({"base_horizon": 0}, "base_horizon"),
        ({"base_batch": -1}, "base_batch"),
        ({"gamma": 3.0}, "gamma"),
        ({"critical_steps": -1}, "critical_steps"),
    ],
)
def test_an_impossible_base_is_refused(changes, named):
    (problem,) = dataclasses.replace(BASE, **changes).problems("optimizer.batch_scaling")
    assert problem.where == f"optimizer.batch_scaling.{named}"


def test_the_optimizer_gets_every_factor():
    """One update by hand, from zero moments: the corrected moments are g and g**2 whatever the betas, so two are made."""
    network = Network(ModelSettings(width=128, depth=4, head_size=32), Vocabulary.of({"text": (10,)}))
    settings = OptimizerSettings(learning_rate=0.1, weight_decay=0.2, epsilon=0.5, clip=0.0, schedule="constant")
    scale = batch_scale(BASE, 4000, 10**6)
    parameters = network.initial_parameters(0)
    tool = optimizer(settings, network, scale)
    state, update = tool.init(parameters), jax.jit(tool.update)
    for size in (1.0, 3.0):
        gradient = jax.tree.map(lambda p, size=size: jnp.full_like(p, size), parameters)
        updates, state = update(gradient, state, parameters)
    beta1, beta2 = 0.9**4, 0.95**4
    first = (beta1 * (1 - beta1) * 1 + (1 - beta1) * 3) / (1 - beta1**2)
    second = (beta2 * (1 - beta2) * 1 + (1 - beta2) * 9) / (1 - beta2**2)
    expected = first / (math.sqrt(second) + 0.5 / 2) + 0.2 * 2 * parameters["embedding"]
    np.testing.assert_allclose(updates["embedding"], expected, rtol=2e-5, atol=1e-6)
    assert peak(settings, scale) == pytest.approx(0.2)


@pytest.mark.parametrize("ratio", [4, 16])
def test_noise_carries_adam_equally_far_in_equal_tokens(ratio):
    """Gradients of pure noise, of variance 1 / batch: the mean square of 20,000 walks after as many tokens, with the rule and
    without it."""

    def spread(batch, scale):
        tool = optax.scale_by_adam(scale.beta(0.99), scale.beta(0.999), 1e-3 / scale.learning_rate)

        def step(carry, key):
            x, state = carry
            noise = jax.random.normal(key, x.shape) / math.sqrt(batch)
            update, state = tool.update(noise, state)
            return (x - 1e-2 * scale.learning_rate * update, state), None

        x = jnp.zeros(20_000)
        keys = jax.random.split(jax.random.key(0), 1600 // batch)
        return float(jnp.var(jax.lax.scan(step, (x, tool.init(x)), keys)[0][0]))

    base = BatchScalingSettings(base_batch=1, base_horizon=1600)
    tuned = spread(1, batch_scale(base, 1, 1600))
    assert spread(ratio, batch_scale(base, ratio, 1600)) == pytest.approx(tuned, rel=0.1)
    assert abs(spread(ratio, batch_scale(BatchScalingSettings(), ratio, 1600)) / tuned - 1) > 0.3
