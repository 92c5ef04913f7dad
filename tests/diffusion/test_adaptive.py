"""A learnt density: draws what it says, weighs by what it drew, and so leaves every mean where it was."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdm.diffusion import adaptive
from mdm.diffusion.adaptive import FLOOR, Learned
from mdm.diffusion.corruption import COMPLEMENTARY, CorruptionSettings, corrupt
from mdm.tokens.rows import TARGET, Batch, Segment, build_row, row_number, stack
from mdm.tokens.tasks import TASK_NAMES, TASKS

BINS = 10
SMALLEST = 1e-3
HARD = np.linspace(1, 8, BINS)  # nats a token, more at high ratios

losses = st.lists(st.floats(0, 50), min_size=BINS, max_size=BINS)
counts = st.lists(st.integers(0, 1000), min_size=BINS, max_size=BINS)


def learned(loss=HARD, count=None) -> Learned:
    count = np.full(BINS, 100.0) if count is None else np.asarray(count, float)
    return Learned(jnp.asarray(np.asarray(loss) * count, jnp.float32)[None], jnp.asarray(count, jnp.float32)[None])


@given(losses, counts)
@settings(deadline=None)
def test_masses_are_a_distribution_above_the_floor(loss, count):
    mass = np.asarray(adaptive.masses(learned(loss, count)))
    assert mass.sum() == pytest.approx(1, abs=1e-5) and mass.min() >= FLOOR / BINS * (1 - 1e-5)


def test_masses_follow_the_loss_and_begin_even():
    mass = np.asarray(adaptive.masses(learned()))[0]
    np.testing.assert_allclose(mass, (1 - FLOOR) * HARD / HARD.sum() + FLOOR / BINS, rtol=1e-5)
    np.testing.assert_allclose(np.asarray(adaptive.masses(adaptive.nothing(2, BINS))), 1 / BINS)
    unseen = np.asarray(adaptive.masses(learned(count=[0] * 5 + [100] * 5)))[0]
    np.testing.assert_allclose(unseen[:5], (1 - FLOOR) / BINS + FLOOR / BINS, rtol=1e-5)


@given(losses)
@settings(deadline=None, max_examples=30)
def test_the_mean_weighted_by_ratio_is_that_of_any_function(loss):
    """E[weight r f(r)] is the integral of f over [smallest, 1], whatever was learnt."""
    u = (np.arange(100_000) + 0.5) / 100_000
    mass = jnp.broadcast_to(adaptive.masses(learned(loss)), (len(u), BINS))
    ratio, weight = map(np.asarray, adaptive.draw(jnp.asarray(u, jnp.float32)[:, None], mass[:, None], SMALLEST))
    assert ratio.min() >= SMALLEST and ratio.max() <= 1
    for power in (0, 1, 3):
        exact = (1 - SMALLEST ** (power + 1)) / (power + 1)
        assert np.mean(weight * ratio * ratio**power) == pytest.approx(exact, rel=1e-3)


def test_draws_fall_as_the_masses_say():
    u = jnp.asarray((np.arange(10_000) + 0.5) / 10_000, jnp.float32)[:, None]
    mass = adaptive.masses(learned())
    ratio, _ = adaptive.draw(u, jnp.broadcast_to(mass, (len(u), 1, BINS)), SMALLEST)
    found = np.histogram(np.asarray(ratio), np.linspace(SMALLEST, 1, BINS + 1))[0] / len(u)
    np.testing.assert_allclose(found, np.asarray(mass)[0], atol=1e-3)


def test_a_density_that_follows_the_loss_has_the_smaller_variance():
    u = jnp.asarray(np.random.default_rng(0).random(20_000), jnp.float32)[:, None]

    def spread(of):
        ratio, weight = adaptive.draw(u, jnp.broadcast_to(adaptive.masses(of), (len(u), 1, BINS)), SMALLEST)
        loss = np.interp(ratio, (np.arange(BINS) + 0.5) / BINS, HARD)
        return np.var(np.asarray(weight * ratio) * loss)

    assert spread(learned()) < 0.5 * spread(adaptive.nothing(1, BINS))


def test_what_was_learnt_decays():
    one = adaptive.learn(adaptive.nothing(1, BINS), jnp.ones((1, BINS)), jnp.ones((1, BINS)), keep=0.5)
    two = adaptive.learn(one, jnp.zeros((1, BINS)), jnp.ones((1, BINS)), keep=0.5)
    assert float(two.nats[0, 0]) == 0.5 and float(two.masked[0, 0]) == 1.5


@pytest.fixture(scope="module")
def batch(vocabulary) -> Batch:
    """Rows of text, and of text-to-image."""
    rng = np.random.default_rng(0)
    document = {"text": rng.integers(0, 20, 8), "image": rng.integers(0, 30, (2, 4))}
    rows = [
        build_row([Segment(document, TASKS[task], {"text": 1})], vocabulary, 32) for task in ("text", "text-to-image")
    ]
    number = np.arange(2048)
    rows = stack([rows[n % 2] for n in number])
    return Batch(rows, row_number(number), (number % 2).astype(np.int32), (number // 2).astype(np.uint32))


@functools.cache
def _corrupt(mask, adaptive_task):
    schedules = {adaptive_task: "adaptive"} if adaptive_task else {}
    own = CorruptionSettings(schedules=schedules, smallest_ratio=SMALLEST)
    return jax.jit(lambda batch, seed, learned: corrupt(batch, own, seed, mask, learned))


def test_only_the_tasks_that_are_adaptive_change(batch, vocabulary):
    hard = Learned(*(jnp.tile(x, (len(TASK_NAMES), 1)) for x in learned()))
    plain, own = (_corrupt(vocabulary.mask, task)(batch, 0, hard) for task in (None, "text"))
    text = np.asarray(batch.stream) == 0
    assert np.array_equal(plain.ids[~text], own.ids[~text]) and np.array_equal(plain.weights[~text], own.weights[~text])
    target = text[:, None] & (np.asarray(batch.rows.roles) == TARGET)
    assert own.ratios[target].mean() > plain.ratios[target].mean() + 0.05
    start = _corrupt(vocabulary.mask, "text")(batch, 0, adaptive.nothing(len(TASK_NAMES), BINS))
    np.testing.assert_allclose(start.ratios, plain.ratios, atol=1e-6)


def test_every_target_token_weighs_one_on_average(batch, vocabulary):
    """Low-discrepancy ratios: over 8,192 rows the mean weight times [masked] is the integral of 1 to within a per cent."""
    hard = Learned(*(jnp.tile(x, (len(TASK_NAMES), 1)) for x in learned()))
    found = [_corrupt(vocabulary.mask, "text")(batch, seed, hard).weights for seed in range(8)]
    target = np.asarray(batch.rows.roles) == TARGET
    weights = np.stack([np.asarray(w)[target] for w in found])
    assert weights.mean() == pytest.approx(1, abs=0.02)


def test_it_is_refused_where_pairs_are_complementary():
    (problem,) = CorruptionSettings(mode=COMPLEMENTARY, schedule="adaptive").problems("corruption")
    assert problem.where == "corruption.schedule"
    assert not CorruptionSettings(schedule="adaptive").problems("corruption")
    (problem,) = CorruptionSettings(adaptive_half_life=0).problems("corruption")
    assert problem.where == "corruption.adaptive_half_life"
