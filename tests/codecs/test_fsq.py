"""Finite scalar quantisation, by enumeration."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdm.codecs import fsq


@pytest.mark.parametrize("levels", [(2,), (3, 2), (8, 8, 8, 5), (5, 4, 3)])
def test_codes_and_values_are_one_to_one(levels):
    codes = jnp.arange(fsq.size(levels))
    values = np.asarray(fsq.values(codes, levels))
    assert len(np.unique(values, axis=0)) == fsq.size(levels)
    assert values.min() == -1 and values.max() == 1
    # A point that the network would have to give for this value: the inverse of the sigmoid at the middle of the level.
    place = ((values + 1) / 2 * (np.array(levels) - 1) + 0.5) / np.array(levels)
    again, found = fsq.quantise(jnp.asarray(np.log(place / (1 - place)) / fsq.STEEPNESS), levels)
    np.testing.assert_array_equal(found, codes)
    np.testing.assert_allclose(again, values, atol=1e-6)


@pytest.mark.parametrize("extreme", [-1e9, 1e9])
def test_extremes_stay_in_range(extreme):
    values, code = fsq.quantise(jnp.full((3,), extreme), (8, 5, 3))
    assert int(code) == (0 if extreme < 0 else 119) and np.all(np.abs(values) == 1)


def test_the_gradient_passes_the_rounding():
    gradient = jax.grad(lambda z: fsq.quantise(z, (8, 5))[0].sum())(jnp.array([0.1, -0.3]))
    assert np.all(np.asarray(gradient) > 0.1)


def test_all_levels_are_used_alike_by_a_gaussian():
    z = jax.random.normal(jax.random.key(0), (20_000, 1))
    shares = np.bincount(np.asarray(fsq.quantise(z, (8,))[1]), minlength=8) / 20_000
    assert shares.min() > 0.08 and shares.max() < 0.16


def test_usage():
    assert fsq.usage(np.array([0, 1, 0, 1]), 10) == {"codes_used": 2.0, "perplexity": pytest.approx(2.0)}
