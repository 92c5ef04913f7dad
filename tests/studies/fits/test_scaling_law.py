"""The scaling law is recovered from runs with noise, within its intervals; runs that do not determine it are told."""

from types import SimpleNamespace

import numpy as np
import pytest

from mdm.problems import Refusal
from mdm.studies.fits import scaling_law as module
from mdm.studies.fits.scaling_law import scaling_law

TRUTH = {"E": 1.7, "A": 400.0, "B": 1200.0, "alpha": 0.34, "beta": 0.40}


def law(n, d):
    return TRUTH["E"] + TRUTH["A"] / n ** TRUTH["alpha"] + TRUTH["B"] / d ** TRUTH["beta"]


def runs(sizes=6, budgets=6, noise=0.0, seed=0):
    n, d = np.meshgrid(np.geomspace(1e6, 3e9, sizes), np.geomspace(1e8, 3e11, budgets))
    error = np.exp(noise * np.random.default_rng(seed).standard_normal(n.size))
    return n.ravel(), d.ravel(), law(n.ravel(), d.ravel()) * error


def test_coefficients_are_recovered_within_their_intervals():
    held = []
    for seed in range(12):
        found = scaling_law(*runs(noise=0.003, seed=seed), repeats=60, seed=seed)
        assert found.determined, found.reservations
        assert found.coefficients["E"].value == pytest.approx(1.7, rel=0.03)
        assert np.sqrt(np.square(found.residuals).mean()) == pytest.approx(0.003, rel=0.35)
        held += [found.coefficients[name].holds(value) for name, value in TRUTH.items()]
        held.append(found.exponent.holds(TRUTH["alpha"] / TRUTH["beta"]))
    assert np.mean(held) >= 0.9


@pytest.mark.slow
def test_intervals_of_the_smallest_design_cover():
    """4 sizes x 3 horizons."""
    held = []
    for seed in range(16):
        found = scaling_law(*runs(sizes=4, budgets=3, noise=0.003, seed=seed), repeats=80, seed=seed)
        held += [found.coefficients[name].holds(TRUTH[name]) for name in ("E", "alpha", "beta")]
        held.append(found.exponent.holds(TRUTH["alpha"] / TRUTH["beta"]))
    assert np.mean(held) >= 0.85


def test_the_smallest_design_has_intervals_that_hold_the_truth_and_its_own_best():
    found = scaling_law(*runs(sizes=4, budgets=3, noise=0.003, seed=1), repeats=40)
    for name in ("E", "alpha", "beta"):
        own = found.coefficients[name]
        assert own.holds(TRUTH[name]) and own.holds(own.value) and own.low < own.high


def test_seeds_of_a_size_are_one_point():
    n, d, y = runs(sizes=4, budgets=3, noise=0.01)
    once = scaling_law(n, d, y, repeats=3)
    thrice = scaling_law(np.repeat(n, 3), np.repeat(d, 3), np.repeat(y, 3), repeats=3)
    assert len(thrice.residuals) == 12
    for name, own in once.coefficients.items():
        other = thrice.coefficients[name]
        assert (other.value, other.low, other.high) == pytest.approx((own.value, own.low, own.high), rel=1e-4)


def test_losses_without_a_floor_are_told():
    n, d, _ = runs(sizes=4, budgets=4)
    found = scaling_law(n, d, 400 / n**0.34 + 1200 / d**0.4 - 0.05, repeats=3)
    assert any("E lies at its bound" in text for text in found.reservations)


def test_without_noise_the_law_is_exact():
    found = scaling_law(*runs(), repeats=5)
    for name in ("E", "alpha", "beta"):
        assert found.coefficients[name].value == pytest.approx(TRUTH[name], rel=1e-2)
    assert found.at(1e9, 1e11) == pytest.approx(law(1e9, 1e11), rel=1e-4)


def test_the_frontier_is_the_lowest_loss_for_its_compute():
    found = scaling_law(*runs(), repeats=5)
    for n in (1e7, 1e9):
        compute = n * float(found.best_tokens(n))
        other = np.geomspace(n / 4, n * 4, 401)
        losses = found.at(other, compute / other)
        assert other[np.argmin(losses)] == pytest.approx(n, rel=0.01)


def test_the_gradient_is_that_of_the_objective():
    n, d, y = (np.log(part) for part in runs(noise=0.01))
    n, d = n - n.mean(), d - d.mean()
    caught = {}

    def catch(objective, start, **_):
        caught["objective"], caught["start"] = objective, start
        return SimpleNamespace(x=start)

    original, module.minimize = module.minimize, catch
    try:
        module._minimum(np.array([-0.1, -1.9, 0.5, 0.3, 0.35]), n, d, y)
    finally:
        module.minimize = original
    _, gradient = caught["objective"](caught["start"])
    for i in range(5):
        step = 1e-6 * np.eye(5)[i]
        up, down = (caught["objective"](caught["start"] + sign * step)[0] for sign in (1, -1))
        assert gradient[i] == pytest.approx((up - down) / 2e-6, rel=1e-4), i


def test_runs_on_one_line_do_not_determine_it():
    """Data in proportion to parameters: the two terms cannot be told apart."""
    n = np.geomspace(1e6, 1e9, 9)
    d = 20 * n
    y = law(n, d) * np.exp(0.01 * np.random.default_rng(0).standard_normal(9))
    found = scaling_law(n, d, y, repeats=20)
    assert not found.determined


def test_runs_in_a_narrow_range_with_noise_do_not_determine_it():
    n, d = (part.ravel() for part in np.meshgrid(np.geomspace(1e6, 4e6, 3), np.geomspace(1e8, 4e8, 3)))
    y = law(n, d) * np.exp(0.02 * np.random.default_rng(0).standard_normal(9))
    found = scaling_law(n, d, y, repeats=40)
    assert any("do not determine" in text for text in found.reservations)


def test_one_outlier_does_not_move_it():
    n, d, y = runs()
    y[7] *= 1.5
    assert scaling_law(n, d, y, repeats=2).coefficients["alpha"].value == pytest.approx(TRUTH["alpha"], rel=0.05)


def test_too_few_runs_and_sizes_are_refused_at_once():
    n, d, y = runs(sizes=2, budgets=3)
    with pytest.raises(Refusal) as refusal:
        scaling_law(n, d, y)
    assert {problem.where for problem in refusal.value.problems} == {"scaling law", "scaling law.parameters"}


def test_diverged_runs_do_not_count():
    n, d, y = runs(sizes=3, budgets=3)
    with pytest.raises(Refusal, match="6 runs"):
        scaling_law(n, d, [None, np.inf, np.nan, *y[3:]])
