"""The power with which a best setting moves is found, and said to be unknown where it is."""

import numpy as np
import pytest

from mdm.problems import Refusal
from mdm.studies.fits.drift import drift


def points(exponent, noise, seed=0, bend=0.02):
    x, by, _ = (part.ravel() for part in np.meshgrid(2.0 ** np.arange(-4, 3), (1, 2, 4, 8), (0, 1, 2)))
    generator = np.random.default_rng(seed)
    y = 7 - np.log2(by) + bend * (np.log2(x) - 0.3 - exponent * np.log2(by)) ** 2
    return x, by, y + noise * generator.standard_normal(x.size)


def test_the_exponent_is_covered():
    found = [drift(*points(-0.44, 0.05, seed)).exponent for seed in range(200)]
    assert 0.9 < np.mean([own.holds(-0.44) for own in found]) < 0.99
    exact = drift(*points(-0.44, 1e-9))
    assert exact.exponent.value == pytest.approx(-0.44, abs=1e-6) and exact.points == 84 and not exact.reservations


def test_what_bends_down_has_no_best():
    found = drift(*points(-0.44, 0.05, bend=-0.02))
    assert found.reservations and found.exponent.low is None


def test_too_few_levels_are_refused():
    x, by, y = points(0.0, 0.1)
    with pytest.raises(Refusal, match="1 levels"):
        drift(x[by == 1], by[by == 1], y[by == 1])
    with pytest.raises(Refusal, match="2 settings"):
        drift(x[x > 1], by[x > 1], y[x > 1])
