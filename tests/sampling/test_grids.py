import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdm.diffusion.schedules import parse
from mdm.problems import Refusal
from mdm.sampling.grids import GRIDS, ratios, remaining

SCHEDULES = ("linear", "polynomial-2", "geometric")


def walk(grid, steps, masked):
    shares = ratios(grid, steps)
    counts = [masked]
    for keep in (shares[1:] / shares[:-1]).astype(np.float32):
        counts.append(int(remaining(jnp.array([counts[-1]]), jnp.float32(keep))[0]))
    return counts


@pytest.mark.parametrize("grid", [*GRIDS, *SCHEDULES])
@settings(max_examples=15, deadline=None)
@given(st.integers(1, 24), st.integers(0, 400))
def test_counts_fall_to_zero_and_every_step_works(grid, steps, masked):
    counts = walk(grid, steps, masked)
    assert counts[-1] == 0
    assert all(after < before or before == 0 for before, after in zip(counts[:-1], counts[1:], strict=True))


@pytest.mark.parametrize("grid", GRIDS)
def test_ratios_fall_from_one_to_exactly_zero(grid):
    shares = ratios(grid, 17)
    assert shares[0] == 1 and shares[-1] == 0 and (np.diff(shares) < 0).all()


@pytest.mark.parametrize(("grid", "schedule"), [("uniform", "linear"), ("cosine", "cosine")])
def test_a_schedule_is_a_grid(grid, schedule, monkeypatch):
    monkeypatch.setattr("mdm.sampling.grids.GRIDS", {})
    np.testing.assert_allclose(ratios(schedule, 16)[:-1], [GRIDS[grid](i / 16) for i in range(16)], atol=2e-3)


@pytest.mark.parametrize("grid", SCHEDULES)
def test_the_steps_of_a_schedule_see_equal_shares_of_what_training_drew(grid):
    drawn = np.asarray(parse(grid, 1e-3).ratio((np.arange(100_000) + 0.5) / 100_000))
    shares = ratios(grid, 8)
    counts, _ = np.histogram(drawn, bins=[0.0, *shares[::-1][1:-1], 1.1])
    assert np.abs(counts / 100_000 - 1 / 8).max() < 0.01
    assert shares[0] == 1 and shares[-1] == 0


@pytest.mark.parametrize(("masked", "steps"), [(64, 64), (100, 64), (10, 4), (7, 3), (3, 8)])
def test_uniform_is_the_even_quota_with_its_remainder_first(masked, steps):
    each, extra = divmod(masked, steps)
    quota = [each + (step < extra) for step in range(steps)]
    assert walk("uniform", steps, masked) == [masked - sum(quota[:step]) for step in range(steps + 1)]


def test_cosine_stays_close_to_its_plan():
    counts, plan = walk("cosine", 32, 256), 256 * ratios("cosine", 32)
    assert np.abs(counts - plan).max() < 16
    assert counts[16] > 256 * 0.6  # most of the work is done late


def test_a_loop_falls_stands_still_and_falls():
    """ReMDM-loop, arXiv 2503.00307: t_on 0.55, t_off 0.05, alpha 0.9 between them."""
    shares = ratios("loop", 100)
    np.testing.assert_allclose(shares[45:96], 0.1)  # times 0.55 to 0.05
    np.testing.assert_allclose(np.diff(shares)[:45], -0.9 / 45)
    np.testing.assert_allclose(np.diff(shares)[95:], -0.1 / 5)
    assert shares[0] == 1 and shares[-1] == 0
    np.testing.assert_array_equal(ratios("loop-0.55-0.05-0.9", 100), shares)
    other = ratios("loop-0.8-0.4-0.5", 10)
    np.testing.assert_allclose(other, [1, 0.75, 0.5, 0.5, 0.5, 0.5, 0.5, 0.375, 0.25, 0.125, 0], atol=1e-12)


@pytest.mark.parametrize(
    "grid", ["loop-0.5", "loop-0.1-0.5-0.9", "loop-0.5-0.1-1", "loop-0.5-0-0.9", "loop-a-b-c", "loops"]
)
def test_what_is_no_loop_is_refused(grid):
    with pytest.raises(Refusal):
        ratios(grid, 8)
