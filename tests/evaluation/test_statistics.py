"""Both standard errors have the size that they claim, against simulations whose truth is known."""

import math

import numpy as np
import pytest

from mdm.evaluation.statistics import bits_per_token, jackknife, paired_difference, ratio


def test_a_figure_is_a_ratio_of_sums():
    nats = np.array([[10.0, 1.0], [10.0, 3.0]])
    estimate = bits_per_token(nats, np.array([10, 1]), ["a", "b"])
    assert estimate.bits == pytest.approx(12 / 11 / math.log(2))


def simulate(rng, documents, noise, spread, repeats=2, groups=None):
    """nats [R, N]: a document's own level (shared within its group) and noise between seeds; 5 targets each."""
    level = rng.normal(10, spread, documents if groups is None else max(groups) + 1)
    level = level if groups is None else level[groups]
    return level + rng.normal(0, noise, (repeats, documents))


def test_the_noise_error_is_calibrated():
    rng = np.random.default_rng(0)
    targets, groups = np.full(50, 5), list(map(str, range(50)))
    estimates = [bits_per_token(simulate(rng, 50, 1.0, 0.0), targets, groups) for _ in range(300)]
    spread = np.std([e.bits for e in estimates])
    assert np.sqrt(np.mean([e.se_noise**2 for e in estimates])) == pytest.approx(spread, rel=0.15)


@pytest.mark.parametrize("clustered", [False, True])
def test_the_data_error_is_calibrated_and_counts_groups_not_documents(clustered):
    rng = np.random.default_rng(1)
    members = np.repeat(np.arange(40), 3) if clustered else np.arange(120)
    targets = np.full(120, 5)
    estimates = [
        bits_per_token(simulate(rng, 120, 0.1, 2.0, groups=members), targets, [str(g) for g in members])
        for _ in range(120)
    ]
    spread = np.std([e.bits for e in estimates])
    assert np.mean([e.se_data for e in estimates]) == pytest.approx(spread, rel=0.2)


def test_the_data_error_covers_as_often_as_it_says():
    """The truth lies within 1.96 errors in 95 % of synthetic data sets (of 400: give or take 1.1 %; a bootstrap of 60 groups of
    skewed sizes covers a little less)."""
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(400):
        targets = rng.integers(1, 12, 60)
        nats = targets * rng.gamma(4.0, 0.5, 60) + rng.normal(0, 0.1, (2, 60))
        own = bits_per_token(nats, targets, list(map(str, range(60))))
        hits += abs(own.bits - 2.0 / math.log(2)) < 1.96 * own.se_data
    assert 0.91 < hits / 400 < 0.975


def test_pairs_cancel_what_they_share():
    rng = np.random.default_rng(2)
    nats = simulate(rng, 60, 1.0, 3.0)
    other = nats - 1.0 + rng.normal(0, 0.01, nats.shape)
    targets, groups = np.full(60, 5), list(map(str, range(60)))
    worth = paired_difference(nats, other, targets, groups)
    assert worth.bits == pytest.approx(0.2 / math.log(2), rel=0.05)
    alone = bits_per_token(nats, targets, groups)
    assert worth.se_data < alone.se_data / 20 and worth.se_noise < alone.se_noise / 20


def test_an_error_that_cannot_be_told_is_none():
    estimate = bits_per_token(np.ones((1, 3)), np.ones(3, int), ["a", "a", "a"])
    assert estimate.se_noise is None and estimate.se_data is None


def test_the_jackknife_of_a_mean_is_its_textbook_error():
    values = np.random.default_rng(4).normal(size=30)
    left_out = np.array([np.delete(values, i).mean() for i in range(30)])
    assert jackknife(left_out) == pytest.approx(values.std(ddof=1) / math.sqrt(30))
    assert jackknife(left_out[:1]) is None


def test_a_ratio_with_nothing_to_count_is_none():
    assert ratio(np.zeros(3), np.zeros(3)) == (None, None)
    assert ratio(np.ones(1), np.full(1, 2.0)) == (0.5, None)
