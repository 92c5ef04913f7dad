"""A power law is found within its intervals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdm.problems import Refusal
from mdm.studies.fits.power_law import power_law

X = np.geomspace(1e5, 1e8, 7)


@given(st.floats(1e-3, 1e3), st.floats(-2.0, 2.0))
def test_without_noise_it_is_exact(factor, exponent):
    found = power_law(X, factor * X**exponent)
    assert found.exponent.value == pytest.approx(exponent, abs=1e-8)
    assert found.factor.value == pytest.approx(factor, rel=1e-6)
    assert found.at(X[:1]) == pytest.approx(factor * X[:1] ** exponent)


def test_the_interval_holds_the_truth_as_often_as_it_says():
    held = []
    for seed in range(300):
        noise = np.exp(0.1 * np.random.default_rng(seed).standard_normal(len(X)))
        found = power_law(X, 3 * X**0.84 * noise, seed)
        held.append((found.exponent.holds(0.84), found.factor.holds(3.0)))
    assert ((np.mean(held, axis=0) >= 0.91) & (np.mean(held, axis=0) <= 0.985)).all()


def test_no_trend_is_told():
    found = power_law(X, np.exp(np.random.default_rng(0).standard_normal(len(X))))
    assert "no trend" in found.reservations[0]
    assert not power_law(X, X**0.5 * np.exp(0.01 * np.random.default_rng(0).standard_normal(len(X)))).reservations


def test_diverged_points_are_left_out():
    y = [*(2 * X[:5] ** 0.5), None, np.inf]
    assert power_law(X, y).points == 5


@pytest.mark.parametrize("x, y", [([1, 2], [1, 2]), ([1, 1, 2], [1, 2, 3]), ([1, 2, 3], [1, None, 2])])
def test_too_few_points_are_refused(x, y):
    with pytest.raises(Refusal, match="needs 3"):
        power_law(x, y)


def test_values_must_be_positive():
    with pytest.raises(Refusal, match="positive"):
        power_law([1, 2, 3], [1, -1, 2])
