"""Paired differences: the interval is Student's, and covers what it says."""

import numpy as np
import pytest
from scipy import stats

from mdm.studies.fits.paired import apart, told


def test_differences_and_ratios_by_hand():
    found, count = apart([(3.0, 1.0), (5.0, 2.0), (4.0, 3.0)], relative=False)
    low, high = stats.t.interval(0.95, 2, loc=2.0, scale=stats.sem([2, 3, 1]))
    assert count == 3 and (found.value, found.low, found.high) == pytest.approx((2.0, low, high))
    found, _ = apart([(2.0, 1.0), (8.0, 1.0)], relative=True)
    assert found.value == pytest.approx(4.0) and found.low < 1 < found.high


def test_pairs_with_a_hole_are_left_out():
    assert apart([(None, 1.0), (1.0, None)], relative=False) == (None, 0)
    found, count = apart([(None, 1.0), (2.0, 1.0)], relative=False)
    assert count == 1 and found.value == 1.0 and found.low is None
    assert told(None, 0, 0.0) == "no pair" and "no interval" in told(found, 1, 0.0)


def test_a_difference_is_marked_only_where_it_is_one():
    assert "≠" in told(*apart([(2.0, 1.0), (2.1, 1.0), (2.0, 1.1)], relative=False), 0.0)
    assert "≠" not in told(*apart([(2.0, 1.0), (1.0, 2.1), (2.0, 1.1)], relative=False), 0.0)


def test_the_interval_covers():
    generator = np.random.default_rng(0)
    draws = generator.normal(0.3, 1.0, (2000, 4))
    found = [apart([(x, 0.0) for x in row], relative=False)[0] for row in draws]
    assert 0.93 < np.mean([one.holds(0.3) for one in found]) < 0.97
