import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdm.sampling.canvas import Request, build_canvas
from mdm.sampling.ends import Ends
from mdm.sampling.grids import ratios
from mdm.sampling.remasking import REMASKS, by_confidence, kept, may_reopen, reopen, sigmas
from mdm.sampling.sampler import sample
from mdm.sampling.settings import SamplerSettings

END, MASK = 9, 99


@pytest.mark.parametrize("remask", list(REMASKS))
@pytest.mark.parametrize("grid", ["uniform", "cosine", "polynomial-2"])
@pytest.mark.parametrize("eta", [0.01, 0.3, 1.0])
def test_the_share_that_is_masked_stays_what_the_grid_says(remask, grid, eta):
    shares = ratios(grid, 16)
    sigma = sigmas(remask, eta, shares)
    before, after = shares[:-1], shares[1:]
    np.testing.assert_allclose(before * kept(shares, sigma) + (1 - before) * sigma, after, atol=1e-12)
    assert sigma[-1] == 0 and (sigma >= 0).all() and (sigma <= 1).all()
    assert (sigma[1:-1] > 0).all() == (remask != "none")


def test_cap_is_a_bound_and_rescale_a_share():
    shares = ratios("uniform", 10)
    most = np.minimum(1, shares[1:] / np.maximum(1 - shares[:-1], 1e-12))
    np.testing.assert_allclose(sigmas("cap", 0.1, shares), np.minimum(0.1, most))
    np.testing.assert_allclose(sigmas("rescale", 0.1, shares), 0.1 * most)


def test_what_was_written_with_doubt_goes_first():
    written = jnp.array([[True, True, False, True]])
    weight = by_confidence(written, jnp.log(jnp.array([[0.9, 0.1, 0.1, 0.5]])))
    assert weight[0, 1] > weight[0, 3] > weight[0, 0] and weight[0, 2] == 0
    np.testing.assert_allclose(weight.sum(), 3, rtol=1e-6)


def test_only_what_the_sampler_wrote_is_opened_and_of_an_end_only_its_first():
    ids = jnp.array([[4, 1, MASK, 2, END, END, END]])
    own = jnp.array([[False, True, True, True, True, True, True]])
    ends = Ends(jnp.ones((1, 1, 7), bool), jnp.full((1, 7), END), jnp.zeros((1, 7), bool))
    np.testing.assert_array_equal(
        may_reopen(own, ids, ids == MASK, ends), [[False, True, False, True, True, False, False]]
    )
    nowhere = Ends(jnp.zeros((0, 1, 7), bool), jnp.full((1, 7), -1), jnp.zeros((1, 7), bool))
    np.testing.assert_array_equal(may_reopen(own, ids, ids == MASK, nowhere), own & (ids != MASK))


def test_positions_are_opened_with_their_probability():
    written = jnp.broadcast_to(jnp.array([True, True, False]), (20_000, 3))
    opened = reopen(written, jnp.array([0.2, 0.7, 1.0]), jax.random.split(jax.random.key(0), 20_000))
    assert np.abs(opened.mean(0) - np.array([0.2, 0.7, 0.0])).max() < 5 * np.sqrt(0.25 / 20_000)


@pytest.mark.parametrize("change", [{"remask": "rescale", "eta": 1.0}, {"corrector": 0.4}])
def test_what_was_written_is_written_again(change, vocabulary, cheap):
    """Seen by the calls: more than there are steps for the corrector, and other symbols than without."""
    canvas = build_canvas([Request("text-to-image", {"text": np.array([1])}, {"image": (4, 4)})], vocabulary, 24)
    rule = {"order": "random", "steps": 8, "temperature": 10.0}
    plain, other = (
        sample(cheap(), canvas, vocabulary, SamplerSettings(**rule, **c), np.array([3], np.uint32))
        for c in ({}, change)
    )
    assert (np.asarray(plain.canvas.rows.ids) != np.asarray(other.canvas.rows.ids)).sum() > 2
    assert int(plain.calls.whole) == 8
    if "corrector" in change:
        assert 8 < int(other.calls.whole) <= 15
    else:  # no call where nothing is to be written: so at the last step, if none was opened before it
        assert int(other.calls.whole) in (7, 8)
