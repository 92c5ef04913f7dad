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
from tests.sampling.conftest import write

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


def masked_before_each_step(rule, cheap, vocabulary, size=(8, 8), seeds=(3, 4, 5, 6)):
    """Mean over rows of the share of positions that is masked: [steps]. Nothing is drawn anew without a call of the network."""
    counts = []

    class Watching(type(cheap())):
        def hidden(self, ids, *others):
            jax.debug.callback(lambda ids: counts.append((ids == vocabulary.mask).sum(1)), ids, ordered=True)
            return super().hidden(ids, *others)

    request = Request("text-to-image", {"text": np.array([1])}, {"image": size})
    canvas = build_canvas([request] * len(seeds), vocabulary, size[0] * size[1] + 16)
    done = write(Watching(vocabulary), canvas, vocabulary, rule, np.array(seeds, np.uint32))
    jax.effects_barrier()
    assert not np.asarray(done.canvas.masked).any() and vocabulary.mask not in np.asarray(done.canvas.rows.ids)
    return np.array(counts) / (size[0] * size[1])


@pytest.mark.parametrize(("order", "remask", "steps"), [
    ("random", "cap", 256), ("confidence", "conf", 64),
    *(pytest.param(*case, marks=pytest.mark.slow) for case in (("entropy", "rescale", 20), ("margin", "cap", 200))),
])  # fmt: skip
def test_exact_counts_follow_the_grid_while_masking_again(order, remask, steps, vocabulary, cheap):
    """Also where there are more steps than positions: an error would add up."""
    rule = SamplerSettings(order=order, steps=steps, remask=remask, eta=0.02, reuse=False)
    counts = masked_before_each_step(rule, cheap, vocabulary)
    assert np.abs(counts - ratios("uniform", steps)[: len(counts), None]).max() < 5 / 64
    assert len(counts) > 0.9 * steps


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
