"""Gradient noise: estimators of one mean, ranked as they must be."""

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
    shown = noise._shown("complementary", batch, np.uint32(0))
    assert shown.number.shape == batch.number.shape
    own = noise._settings("complementary", job.corruption)
    hide = jax.jit(lambda batch: noise.corrupt(batch, own, 0, network.vocabulary.mask).masked)
    hidden = jax.device_get(hide(shown))
    target = jax.device_get(shown.rows.roles) == noise.objective.TARGET
    assert (hidden[::2] ^ hidden[1::2] == target[::2]).all()
    assert (np.asarray(shown.rows.ids)[::2] == np.asarray(batch.rows.ids)[:4]).all()
