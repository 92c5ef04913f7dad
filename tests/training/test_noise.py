"""Gradient noise: estimators of one mean, ranked as they must be."""

import dataclasses

import jax
import numpy as np
import pytest

from mdm.data import pipeline
from mdm.data.pipeline import Rows
from mdm.model.network import Network
from mdm.training import noise
from mdm.training.noise import ESTIMATORS, gradient_noise


@pytest.fixture(scope="module")
def material(make_job):
    job = make_job()
    rows = Rows(job.data)
    network = Network(job.model, rows.manifest.vocabulary)
    return job, rows, network, network.initial_parameters(1)


def found(material, pairs):
    job, rows, network, parameters = material
    batches = pipeline.batches(rows, 0, 8)
    try:
        return gradient_noise(network, parameters, job.corruption, job.objective, batches, pairs)
    finally:
        batches.close()


@pytest.mark.slow
def test_all_estimators_have_one_mean_and_hiding_is_part_of_the_noise(material):
    noises = found(material, 60)
    assert set(noises) == set(ESTIMATORS)
    error = lambda x: np.std(x, ddof=1) / np.sqrt(len(x))  # noqa: E731
    plain = noises["plain"]
    for own in noises.values():
        assert (own.total > 0).all() and (own.masking > 0).all()
        assert own.total.shape == (60,)
        spread = np.hypot(error(own.signal), error(plain.signal))
        assert abs(own.signal.mean() - plain.signal.mean()) < 4 * spread
    for name in ("plain", "low-discrepancy", "adaptive"):  # the rows add noise of their own
        assert noises[name].masking.mean() < noises[name].total.mean()
    assert noises["complementary"].masking.mean() < plain.masking.mean()


def test_views_of_a_pair_hide_the_opposite(material):
    job, rows, network, _ = material
    batches = pipeline.batches(rows, 3, 8)
    batch = next(batches)
    batches.close()
    shown = noise._shown("complementary", batch)
    assert shown.number.shape == batch.number.shape
    own = noise._settings("complementary", job.corruption)
    hide = jax.jit(lambda batch: noise.corrupt(batch, own, 0, network.vocabulary.mask).masked)
    hidden = jax.device_get(hide(shown))
    target = jax.device_get(shown.rows.roles) == noise.objective.TARGET
    assert (hidden[::2] ^ hidden[1::2] == target[::2]).all()
    assert (np.asarray(shown.rows.ids)[::2] == np.asarray(batch.rows.ids)[:4]).all()


def test_ratios_of_the_plain_estimator_are_drawn_on_their_own(material):
    job, rows, network, _ = material
    batches = pipeline.batches(rows, 0, 8)
    batch = next(batches)
    batches.close()
    packed = jax.device_get(batch.rows.segments)
    row = int(packed.max(axis=1).argmax())
    first, second = int((packed[row] == 1).argmax()), int((packed[row] == 2).argmax())
    assert packed[row, second] == 2
    own = noise._settings("plain", job.corruption)

    def ratios(seed):
        points = noise._points("plain", batch, seed)
        return noise.corrupt(batch, own, seed, network.vocabulary.mask, points=points).ratios

    found = jax.device_get(jax.jit(jax.vmap(ratios))(np.arange(200, dtype=np.uint32)))
    one, other = found[:, row, first], found[:, row, second]
    # Evenly spread segments of a row stay at one distance, modulo 1; independent ones are anywhere.
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.25
    assert np.histogram((other - one) % 1, bins=4, range=(0, 1))[0].min() > 20
    assert one.min() < 0.05 and one.max() > 0.95
    assert (found[0, row] == found[0, row, first])[packed[row] == 1].all()


def test_only_the_adaptive_estimator_is_adaptive(material):
    corruption = dataclasses.replace(material[0].corruption, schedule="adaptive", schedules={"text": "adaptive"})
    mixed = dataclasses.replace(corruption, schedules={"text": "adaptive", "text-to-image": "cosine"})
    for name in ("plain", "low-discrepancy", "complementary"):
        own = noise._settings(name, corruption)
        assert {own.trained_on(task) for task in noise.TASK_NAMES} == {"linear"}
        assert not any(own.is_adaptive(task) for task in noise.TASK_NAMES)
    assert noise._settings("low-discrepancy", mixed).schedules == {"text": "linear", "text-to-image": "cosine"}
    assert noise._settings("adaptive", corruption).is_adaptive("text")


def test_networks_have_draws_of_their_own(material):
    _, _, network, parameters = material
    other = network.initial_parameters(2)
    seeds = [noise._of_its_own(own, seed) for own in (parameters, other) for seed in (0, 1)]
    assert len(set(seeds)) == 4 and noise._of_its_own(parameters, 0) == seeds[0] and max(seeds) < 2**31
