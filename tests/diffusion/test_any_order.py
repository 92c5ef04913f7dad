"""Every way of corrupting estimates one and the same number: the any-order average of -log p, held to its enumeration.

    any-order average = sum over k = 1..n of (1/k) E over masks of k tokens [ sum over masked of -log p ]
                      = int_0^1 (1/r) E over masks at ratio r [ sum over masked of -log p ] dr

With the conditionals of the data itself in the table it is the entropy of the data.
"""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.polynomial import Polynomial
from scipy import stats

from mdm.diffusion.corruption import COMPLEMENTARY, CorruptionSettings, corrupt, corrupt_fixed_count
from mdm.diffusion.likelihood import elbo_sample
from mdm.diffusion.objective import ObjectiveSettings, loss
from mdm.tokens.rows import TARGET
from mdm.tokens.tasks import TASK_NAMES
from mdm.tokens.vocabulary import MODALITIES

SCHEDULES = ("linear", "cosine", "polynomial-2", "polynomial-0.5", "geometric")
SMALLEST = 1e-3
ROWS = 16_384
VALUES = (1, 0, 2, 1)  # symbols of the four slots; legal in every case


@functools.cache
def _training(tabular, vocabulary, mode, schedule):
    """Compiled once for all cases: the real corruption and the real objective."""
    settings = CorruptionSettings(mode=mode, schedule=schedule, smallest_ratio=SMALLEST, condition_drop=0.0)

    @jax.jit
    def run(table, batch):
        corrupted = corrupt(batch, settings, 5, vocabulary.mask)
        return loss(tabular(table), batch.rows, corrupted, vocabulary, ObjectiveSettings(z_loss=0.0))[0], corrupted

    return run


@functools.cache
def _evaluation(tabular, vocabulary):
    @jax.jit
    def run(table, rows, number, sample, samples):
        corrupted = corrupt_fixed_count(rows, number, 5, sample, samples, vocabulary.mask)
        return elbo_sample(tabular(table), rows, number, 5, sample, samples, vocabulary), corrupted

    return run


def _hidden_sets(case, corrupted):
    """The set of hidden slots of each row."""
    masked = np.asarray(corrupted.masked)[:, case.places]
    return [frozenset(np.flatnonzero(row).tolist()) for row in masked]


def _by_ratio(costs, n):
    """r -> (1/r) E over masks at ratio r of their cost, as a polynomial: sum over S of cost(S) r^(|S|-1) (1-r)^(n-|S|)."""
    r, keep = Polynomial([0, 1]), Polynomial([1, -1])
    return sum((cost * r ** (len(s) - 1) * keep ** (n - len(s)) for s, cost in costs.items() if s), Polynomial([0]))


def _within_4_standard_errors(draws, expected):
    error = draws.std(ddof=1) / math.sqrt(len(draws))
    assert abs(draws.mean() - expected) < 4 * error, (draws.mean(), expected, error)
    return error


def test_the_two_forms_of_the_any_order_average_agree(case, random_table):
    costs, n = case.costs(random_table, VALUES), len(case.targets)
    by_count = sum(cost / len(s) / math.comb(n, len(s)) for s, cost in costs.items() if s)
    by_ratio = _by_ratio(costs, n).integ()(1.0)
    assert case.any_order(random_table, VALUES) == pytest.approx(by_count, rel=1e-12)
    assert case.any_order(random_table, VALUES) == pytest.approx(by_ratio, rel=1e-12)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_independent_masks_with_every_schedule(case, schedule, random_table, tabular, tiny, numbered):
    n, exact = len(case.targets), case.any_order(random_table, VALUES)
    costs = case.costs(random_table, VALUES)
    curve = _by_ratio(costs, n)
    cut = CorruptionSettings(schedule=schedule, smallest_ratio=SMALLEST).schedule_of(TASK_NAMES[case.row.tasks[0]])

    # 1. Exactly: the schedule's own ratios and weights on a grid, the masks enumerated. What is below the smallest ratio
    #    is missing, is known, and is what `left_out` says.
    t = (np.arange(200_000) + 0.5) / 200_000
    u = jnp.asarray(t**3, jnp.float32)  # t**3: the integrand of polynomial-0.5 is steep at u = 0
    r, weight = np.asarray(cut.ratio(u), np.float64), np.asarray(cut.weight(cut.ratio(u)), np.float64)
    quadrature = np.mean(weight * r * curve(r) * 3 * t**2)
    missing = curve.integ()(max(SMALLEST, float(cut.density.quantile(0.0))))
    assert quadrature == pytest.approx(exact - missing, rel=2e-5)
    alone = sum(cost for s, cost in costs.items() if len(s) == 1) / n
    assert missing == pytest.approx(n * cut.left_out(alone), rel=0.02)

    # 2. The ratios that corruption really draws are a quadrature rule too, far better than independent draws would be
    #    (polynomial-0.5 leaves an integrand like u**-0.5, which no equally weighted rule does well).
    rows = case.rows([VALUES] * ROWS)
    batch = numbered(rows)
    total, corrupted = _training(tabular, tiny, "independent", schedule)(random_table, batch)
    place = case.places[case.targets[0]]
    drawn = np.asarray(corrupted.ratios)[:, place].astype(np.float64)
    weights = np.asarray(cut.weight(jnp.asarray(drawn, jnp.float32)), np.float64)
    by_draws = np.mean(weights * drawn * curve(drawn))
    assert by_draws == pytest.approx(exact - missing, rel=0.03 if schedule == "polynomial-0.5" else 2e-3)

    # 3. Given the ratio each target is hidden with that probability, and what is hidden has the schedule's weight.
    masked = np.asarray(corrupted.masked)[:, case.places[list(case.targets)]]
    _within_4_standard_errors((masked - drawn[:, None]).sum(axis=1), 0.0)
    _within_4_standard_errors(((masked - drawn[:, None]) * (drawn[:, None] - 0.5)).sum(axis=1), 0.0)
    of_masked = np.where(masked, weights[:, None], 0)
    np.testing.assert_allclose(np.asarray(corrupted.weights)[:, case.places[list(case.targets)]], of_masked, rtol=1e-6)

    # 4. And so the objective, from end to end.
    draws = np.array([w * costs[s] for w, s in zip(weights, _hidden_sets(case, corrupted), strict=True)])
    assert float(total) * n == pytest.approx(draws.mean(), rel=1e-5)
    _within_4_standard_errors(draws, exact - missing)


def _exact_over_masks(case, corrupted, costs, chances):
    """The expectation by enumeration: chance of each set of slots, its weight as corruption gave it, its cost.

    Every set must have been drawn, and always with one weight.
    """
    n = len(case.targets)
    weights = np.asarray(corrupted.weights).max(axis=1)
    seen: dict[frozenset, set[float]] = {}
    for s, w in zip(_hidden_sets(case, corrupted), weights.tolist(), strict=True):
        seen.setdefault(s, set()).add(w)
    assert all(len(ws) == 1 for ws in seen.values())
    assert set(seen) | {frozenset()} == set(costs)
    return sum(chances[len(s)] / math.comb(n, len(s)) * next(iter(ws)) * costs[s] for s, ws in seen.items() if s)


def _masks_of_each_count_are_alike(case, corrupted):
    """Chi-square: given how many slots are hidden, every set of that many is as likely."""
    sets = _hidden_sets(case, corrupted)
    for k in range(1, len(case.targets)):
        counts = [sum(s == frozenset(c) for s in sets) for c in itertools.combinations(case.targets, k)]
        if any(counts):
            assert stats.chisquare(counts).pvalue > 1e-4


def test_complementary_pairs(case, random_table, tabular, tiny, numbered):
    n, exact = len(case.targets), case.any_order(random_table, VALUES)
    costs = case.costs(random_table, VALUES)
    total, corrupted = _training(tabular, tiny, COMPLEMENTARY, "linear")(
        random_table, numbered(case.rows([VALUES] * ROWS), views=2)
    )
    for view in range(2):
        own = jax.tree.map(lambda x, view=view: np.asarray(x)[view::2], corrupted)
        counts = np.bincount([len(s) for s in _hidden_sets(case, own)], minlength=n + 1) / (ROWS // 2)
        np.testing.assert_allclose(
            counts, 1 / (n + 1), atol=2e-3
        )  # low discrepancy: independent draws would be off by 4e-3
        _masks_of_each_count_are_alike(case, own)
        assert _exact_over_masks(case, own, costs, [1 / (n + 1)] * (n + 1)) == pytest.approx(exact, rel=1e-6)
    weights = np.asarray(corrupted.weights).max(axis=1)
    draws = np.array([w * costs[s] for w, s in zip(weights, _hidden_sets(case, corrupted), strict=True)])
    assert float(total) * n == pytest.approx(draws.mean(), rel=1e-5)
    _within_4_standard_errors((draws[0::2] + draws[1::2]) / 2, exact)


def test_fixed_counts(case, random_table, tabular, tiny, numbered):
    n, exact = len(case.targets), case.any_order(random_table, VALUES)
    costs = case.costs(random_table, VALUES)
    rows = case.rows([VALUES] * ROWS)
    batch = numbered(rows)
    run = _evaluation(tabular, tiny)
    nats, seen = np.zeros((ROWS, len(MODALITIES))), []
    for sample in range(n):
        drawn, corrupted = run(random_table, rows, batch.number, sample, n)
        nats += np.asarray(drawn) / n
        seen.append([len(s) for s in _hidden_sets(case, corrupted)])
        _masks_of_each_count_are_alike(case, corrupted)
    # As many samples as targets: every count once, for every row.
    np.testing.assert_array_equal(np.sort(seen, axis=0), np.arange(1, n + 1)[:, None] * np.ones(ROWS, int))
    # One sample alone: counts uniform over the rows.
    _, corrupted = run(random_table, rows, batch.number, 0, 1)
    _masks_of_each_count_are_alike(case, corrupted)
    counts = [sum(len(s) == k for s in _hidden_sets(case, corrupted)) for k in range(1, n + 1)]
    assert stats.chisquare(counts).pvalue > 1e-4
    assert _exact_over_masks(case, corrupted, costs, [0] + [1 / n] * n) == pytest.approx(exact, rel=1e-6)
    _within_4_standard_errors(nats.sum(axis=1), exact)
    # Split by modality: the parts are those of the targets.
    owners = {case.ranges[s].modality for s in case.targets}
    assert {m for m, column in zip(MODALITIES, nats.T, strict=True) if column.any()} == owners


def test_bayes_optimal_denoiser_pays_the_entropy_of_the_data(case, tabular, tiny, numbered):
    rng = np.random.default_rng(1)
    sizes = [r.size for r in case.ranges]
    joint = rng.dirichlet(np.full(math.prod(sizes), 0.3)).reshape(sizes)
    joint = 0.98 * joint + 0.02 / joint.size
    table = case.conditionals(joint)
    given = tuple(s for s in range(len(sizes)) if s not in case.targets)
    marginal = joint.sum(axis=case.targets)
    entropy = -(joint * np.log(joint)).sum() + (marginal * np.log(marginal)).sum()  # of the targets, given the others
    everything = case.all_values()
    exact = sum(joint[x] * case.any_order(table, x) for x in everything)
    assert exact == pytest.approx(entropy, rel=1e-9)
    assert given == () or entropy < -(joint * np.log(joint)).sum()

    drawn = [everything[i] for i in rng.choice(len(everything), size=ROWS, p=joint.reshape(-1))]
    rows = case.rows(drawn)
    batch = numbered(rows)
    nats = [_evaluation(tabular, tiny)(np.float32(table), rows, batch.number, s, 2)[0] for s in range(2)]
    error = _within_4_standard_errors(np.mean(nats, axis=0).sum(axis=1), entropy)
    assert error < 0.02 * entropy
    total, _ = _training(tabular, tiny, "independent", "linear")(np.float32(table), batch)
    maskable = np.sum(rows.roles == TARGET)
    assert float(total) * maskable / ROWS == pytest.approx(entropy, rel=0.03)
