"""The parabola finds the lowest point within its interval, and says when there is none to be found."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdm.problems import Refusal
from mdm.studies.fits.parabola import optimum

RATES = [2.0**k for k in range(-12, -5)]


def losses(best, curvature=0.05, noise=0.0, seed=0, rates=RATES):
    error = noise * np.random.default_rng(seed).standard_normal(len(rates))
    return [curvature * (math.log2(rate) - best) ** 2 + 3.0 + e for rate, e in zip(rates, error, strict=True)]


@given(st.floats(-11.5, -6.5), st.floats(0.01, 1.0))
def test_without_noise_the_lowest_point_is_exact(best, curvature):
    found = optimum(RATES, losses(best, curvature))
    assert found.best.value == pytest.approx(2**best, rel=1e-6)
    assert found.lowest == pytest.approx(3.0) and found.curvature == pytest.approx(curvature)
    assert found.determined


def test_the_interval_holds_the_truth_as_often_as_it_says():
    held = [optimum(RATES, losses(-8.7, noise=0.03, seed=s), seed=s).best.holds(2**-8.7) for s in range(300)]
    assert 0.91 <= np.mean(held) <= 0.985


def test_more_noise_gives_a_wider_interval():
    quiet, loud = (optimum(RATES, losses(-8.7, noise=noise, seed=1)) for noise in (0.005, 0.05))
    assert math.log(loud.best.factor) > 5 * math.log(quiet.best.factor)


def test_diverged_runs_are_left_out_and_counted():
    y = [*losses(-8.7)[:5], None, math.inf]
    found = optimum(RATES, y)
    assert (found.points, found.left_out) == (5, 2)
    assert found.best.value == pytest.approx(2**-8.7)


def test_far_settings_are_left_out_on_request():
    y = losses(-9.0)
    y[-1] = 40.0  # nearly diverged
    assert optimum(RATES, y, octaves=2).best.value == pytest.approx(2**-9.0)
    assert optimum(RATES, y).best.value != pytest.approx(2**-9.0, rel=0.1)


def test_a_label_that_was_rounded_is_as_far_away_as_the_setting():
    rates = [float(f"{2.0**-k:g}") for k in range(9, 3, -1)]  # 2^-9 is labelled 0.00195312
    assert optimum(rates, [4.0, 3.0, 2.5, 2.2, 2.1, 2.0], octaves=5).points == 6


def test_a_lowest_point_beyond_what_was_tried_is_told():
    found = optimum(RATES, losses(-2.0))
    assert not found.determined and "outside" in found.reservations[0]


def test_an_interval_beyond_what_was_tried_is_told():
    found = optimum(RATES, losses(-6.6, noise=0.08, seed=3), seed=3)
    assert RATES[0] <= found.best.value <= RATES[-1] < found.best.high
    assert found.reservations == ("the interval reaches beyond what was tried",)


def test_a_hill_has_no_lowest_point():
    found = optimum(RATES, [-y for y in losses(-9.0)])
    assert not found.determined and found.best.low is None


def test_noise_alone_determines_nothing():
    found = optimum(RATES, list(np.random.default_rng(3).standard_normal(len(RATES))))
    assert not found.determined


def test_three_points_have_no_interval():
    found = optimum(RATES[:3], losses(-11.0, rates=RATES[:3]))
    assert found.best.value == pytest.approx(2**-11.0) and found.best.low is None and not found.determined


@pytest.mark.parametrize("y", [[1.0, 2.0, None], [None] * 3, [1.0, math.inf, math.nan]])
def test_too_few_points_are_refused(y):
    with pytest.raises(Refusal, match="needs 3"):
        optimum(RATES[:3], y)


def test_repeats_are_no_further_settings():
    with pytest.raises(Refusal, match="needs 3"):
        optimum([1.0, 1.0, 2.0, 2.0], [1.0, 2.0, 3.0, 4.0])


def test_settings_must_be_positive():
    with pytest.raises(Refusal, match="positive"):
        optimum([0.0, 1.0, 2.0], [1.0, 0.0, 1.0])


def test_a_straight_line_has_no_best_that_is_determined():
    found = optimum([1.0, 2.0, 4.0] * 2, [0.0, 1.0, 2.0, 1e-9, 1.0, 2.0])
    assert not found.determined
