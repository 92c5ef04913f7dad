import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdm.problems import Refusal
from mdm.sampling.canvas import Request, build_canvas
from mdm.sampling.ends import Ends
from mdm.sampling.grids import ratios
from mdm.sampling.remasking import REMASKS, by_confidence, kept, may_reopen, parse_remask, reopen, sigmas
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


@pytest.mark.parametrize("remask", ["cap", "rescale", "conf"])
def test_a_switch_masks_again_from_its_time_on_only(remask):
    shares = ratios("cosine", 20)
    always, part = sigmas(remask, 0.1, shares), sigmas(f"{remask}-0.2-0.55", 0.1, shares)
    time = 1 - np.arange(20) / 20
    at_work = (time > 0.2 + 1e-9) & (time < 0.55 + 1e-9)
    np.testing.assert_array_equal(part, np.where(at_work, always, 0))
    assert at_work.sum() == 7 and part[9] > 0
    np.testing.assert_array_equal(sigmas(f"{remask}-0-1", 0.1, shares), always)
    before, after = shares[:-1], shares[1:]
    np.testing.assert_allclose(before * kept(shares, part) + (1 - before) * part, after, atol=1e-12)


def test_a_loop_masks_again_what_it_uncovers():
    """And neither before it nor behind it."""
    shares = ratios("loop", 200)
    sigma = sigmas("cap-0.05-0.55", 0.02, shares)
    assert (sigma[:90] == 0).all() and (sigma[190:] == 0).all()
    np.testing.assert_allclose(sigma[90:190], 0.02)
    np.testing.assert_allclose(0.1 * (1 - kept(shares, sigma)[90:190]), 0.9 * 0.02)


@pytest.mark.parametrize(
    "name", ["loop", "cap-0.5", "cap-0.5-0.2", "cap-0-2", "cap-a-b", "cap-0-1-1", "none-0-1", "cap-nan-1"]
)
def test_other_ways_of_masking_again_are_refused(name):
    with pytest.raises(Refusal, match="cap-0-0.55"):
        parse_remask(name)


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


def masked_before_each_step(rule, cheap, vocabulary, rows=4):
    """Share of the 64 positions that is masked, of each row: [steps, rows]. The rule must call the network at every step."""
    counts = []

    class Watching(type(cheap())):
        def hidden(self, ids, *others):
            jax.debug.callback(lambda ids: counts.append((ids == vocabulary.mask).sum(1)), ids, ordered=True)
            return super().hidden(ids, *others)

    request = Request("text-to-image", {"text": np.array([1])}, {"image": (8, 8)})
    canvas = build_canvas([request] * rows, vocabulary, 80)
    done = write(Watching(vocabulary), canvas, vocabulary, rule, np.arange(rows, dtype=np.uint32))
    jax.effects_barrier()
    assert not np.asarray(done.canvas.masked).any() and vocabulary.mask not in np.asarray(done.canvas.rows.ids)
    return np.array(counts) / 64


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


@pytest.mark.parametrize("order", [pytest.param("ancestral", marks=pytest.mark.slow), "random"])
def test_a_loop_stands_still(order, vocabulary, cheap):
    """40 of 80 steps with some 6 of 64 positions masked, and not always the same."""
    rule = SamplerSettings(
        order=order, grid="loop", steps=80, remask="cap-0.05-0.55", eta=0.04, reuse=False, temperature=9.0
    )
    counts = masked_before_each_step(rule, cheap, vocabulary, rows=64)
    assert np.abs(counts.mean(1) - ratios("loop", 80)[: len(counts)]).max() < 0.03 and len(counts) > 70
    assert counts[40:70].std(0).min() > 0.01


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
