"""Paired differences: the interval is Student's, and covers what it says."""

import numpy as np
import pytest
from scipy import stats

from mdm.studies.fits.paired import Apart, apart, holm, legend, told


def test_differences_and_ratios_by_hand():
    found, count, p = apart([(3.0, 1.0), (5.0, 2.0), (4.0, 3.0)], relative=False)
    low, high = stats.t.interval(0.95, 2, loc=2.0, scale=stats.sem([2, 3, 1]))
    assert p == pytest.approx(stats.ttest_1samp([2.0, 3.0, 1.0], 0.0).pvalue)
    assert count == 3 and (found.value, found.low, found.high) == pytest.approx((2.0, low, high))
    found, _, _ = apart([(2.0, 1.0), (8.0, 1.0)], relative=True)
    assert found.value == pytest.approx(4.0) and found.low < 1 < found.high


def test_pairs_with_a_hole_are_left_out():
    assert apart([(None, 1.0), (1.0, None)], relative=False) == (None, 0, None)
    found = apart([(None, 1.0), (2.0, 1.0)], relative=False)
    assert found.count == 1 and found.interval.value == 1.0 and found.interval.low is None and found.p is None
    assert told(Apart(None, 0, None), 0.0, False) == "no pair" and "no interval" in told(found, 0.0, False)


def test_the_same_difference_again_and_again_is_one_trial():
    found = apart([(31.4, 31.35)] * 3, relative=False)
    assert found.interval.value == pytest.approx(0.05) and found.interval.low is None and found.p is None
    assert found.count == 3 and holm([found]) == [False] and "≠" not in told(found, 0.0, False)


def test_a_difference_is_marked_only_where_it_is_one():
    far, near = (apart([(2.0, 1.0), (b, c), (2.0, 1.1)], relative=False) for b, c in ((2.1, 1.0), (1.0, 2.1)))
    assert "(≠)" in told(far, 0.0, False) and "(≠)" not in told(far, 0.0, True) and " ≠ " in told(far, 0.0, True)
    assert "≠" not in told(near, 0.0, False)


def test_many_comparisons_are_corrected():
    of = lambda *values: [Apart(None, 3, p) for p in values]  # noqa: E731
    assert holm(of(0.04)) == [True] and holm(of(0.04, 0.5)) == [False, False]
    assert holm(of(0.03, 0.001, 0.02)) == [True, True, True]  # 0.05 over 1, 3 and 2
    assert holm(of(0.03, 0.001, 0.026)) == [False, True, False]
    assert holm(of(None, 0.04)) == [False, True]  # a pair alone is no comparison
    assert "1 comparisons" in legend(of(None, 0.04), 0.0)
    same = apart([(1.0, 1.0), (2.0, 2.0)], relative=False)
    assert same.p == 1.0 and holm([same]) == [False]
    generator, wrong = np.random.default_rng(1), 0
    for _ in range(300):
        wrong += any(holm([apart([(x, 0.0) for x in generator.normal(size=4)], relative=False) for _ in range(10)]))
    assert wrong / 300 < 0.09  # 0.4 without the correction


def test_the_interval_covers():
    generator = np.random.default_rng(0)
    draws = generator.normal(0.3, 1.0, (2000, 4))
    found = [apart([(x, 0.0) for x in row], relative=False).interval for row in draws]
    assert 0.93 < np.mean([one.holds(0.3) for one in found]) < 0.97
