"""Distances between sets against closed forms, and their errors against the spread of many draws."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from mdm.evaluation.measures import distances

RNG = np.random.default_rng(0)


def with_moments(mean, covariance, n=50):
    """[n, F] whose mean and covariance are exactly these."""
    rows = RNG.normal(size=(n, len(mean)))
    rows -= rows.mean(axis=0)
    rows = rows @ np.linalg.inv(np.linalg.cholesky(np.cov(rows.T)).T)
    return rows @ np.linalg.cholesky(covariance).T + mean


def test_the_frechet_distance_of_two_normal_laws_has_its_closed_form():
    a, b = np.array([[2.0, 0.5], [0.5, 1.0]]), np.array([[1.0, -0.3], [-0.3, 3.0]])
    expected = 1 + 4 + np.trace(a + b - 2 * sqrtm(a @ b).real)
    found = distances.frechet(with_moments([0, 0], a), with_moments([1, 2], b, n=30))
    assert found == pytest.approx(expected, rel=1e-6)
    shifted = distances.frechet(with_moments([0, 0], a), with_moments([3, 4], a))
    assert shifted == pytest.approx(25, rel=1e-6)


def test_the_frechet_distance_of_few_rows_of_many_features_is_that_of_their_singular_covariances():
    a, b = RNG.normal(size=(5, 8)), RNG.normal(size=(7, 8)) + 1
    means, covariances = [own.mean(axis=0) for own in (a, b)], [np.cov(own.T) for own in (a, b)]
    eigenvalues = np.linalg.eigvals(covariances[0] @ covariances[1]).real
    root = np.sqrt(np.maximum(eigenvalues, 0)).sum()
    expected = np.square(means[0] - means[1]).sum() + np.trace(covariances[0] + covariances[1]) - 2 * root
    assert distances.frechet(a, b) == pytest.approx(expected, rel=1e-5)


def test_a_set_is_at_no_distance_from_itself_and_far_from_noise():
    own = RNG.normal(size=(40, 16))
    noise = 3 * RNG.normal(size=(40, 16))
    assert distances.frechet(own, own) == pytest.approx(0, abs=1e-9)
    assert distances.frechet(own, noise) > 30
    assert distances.kernel(own, own) == (0, 0, None)
    score = distances.kernel(noise, own)
    assert score.value > 3 * score.error > 0


@pytest.mark.parametrize("dependence", [0.0, 0.9])
def test_the_kernel_distance_is_unbiased_also_where_made_depends_on_its_original(dependence):
    scores = []
    for _ in range(400):
        originals, other = RNG.normal(size=(2, 12, 4))
        made = dependence * originals + np.sqrt(1 - dependence**2) * other  # of the same law
        scores.append(distances.kernel(made, originals))
    values = np.array([score.value for score in scores])
    assert abs(values.mean()) < 4 * values.std() / np.sqrt(len(values))
    # The jackknife of a degenerate statistic is on the safe side.
    claimed = np.sqrt(np.mean([score.error**2 for score in scores]))
    assert values.std() * 0.9 < claimed < values.std() * 2.5


def test_the_error_of_the_kernel_distance_is_calibrated_where_there_is_a_distance():
    scores = [distances.kernel(RNG.normal(size=(40, 3)) * 1.5 + 0.5, RNG.normal(size=(40, 3))) for _ in range(200)]
    values = np.array([score.value for score in scores])
    truth = distances.kernel(RNG.normal(size=(1500, 3)) * 1.5 + 0.5, RNG.normal(size=(1500, 3))).value
    assert values.mean() == pytest.approx(truth, abs=5 * values.std() / np.sqrt(len(values)))
    assert np.sqrt(np.mean([score.error**2 for score in scores])) == pytest.approx(values.std(), rel=0.25)


def test_the_divergence_in_bits():
    equal, apart = np.array([[3, 1, 0, 0]]), np.array([[0, 0, 5, 5]])
    assert distances.divergence(equal, 2 * equal) == pytest.approx(0)
    assert distances.divergence(equal, apart) == pytest.approx(1)  # log 2
    # H(3/4, 1/4) - (H(1) + H(1/2, 1/2)) / 2
    assert distances.divergence(np.array([[1, 0], [1, 0]]), np.array([[1, 1]])) == pytest.approx(0.8112781 - 0.5)


def test_across_halves_nothing_meets_its_own_original():
    met = []
    made = np.arange(8)[:, None]
    score = distances.across_halves(
        lambda a, b: met.append((set(a.ravel()), set(b.ravel() - 100))) or 1.0, made, made + 100
    )
    assert score == (1, 0, None)
    assert all(not a & b for a, b in met) and met[:2] != met[2:4]
    assert len(met) == 2 * (8 + 1)


def test_the_originals_among_themselves_are_the_floor():
    """Copies of the originals score what the originals score, and another set of the same law as much on average."""
    laws = [RNG.normal(size=(2, 20, 30)) for _ in range(20)]
    floors = [distances.across_halves(distances.frechet, own, own) for own, _ in laws]
    others = [distances.across_halves(distances.frechet, made, own) for own, made in laws]
    values = [np.array([score.value for score in scores]) for scores in (floors, others)]
    assert values[0].mean() > 10  # of two sets of one law
    assert values[1].mean() == pytest.approx(values[0].mean(), rel=0.03)
    assert np.mean([score.error for score in others]) == pytest.approx(values[1].std(), rel=0.6)


def test_the_jackknife_is_that_of_sets_without_one_document():
    made, own = RNG.normal(size=(2, 6, 3))
    left_out = [distances.kernel(np.delete(made, i, axis=0), np.delete(own, i, axis=0)).value for i in range(6)]
    assert distances.kernel(made, own).error == pytest.approx(
        np.sqrt(5 / 6 * np.square(left_out - np.mean(left_out)).sum())
    )


@pytest.mark.parametrize("documents", [16, 100])
def test_a_set_that_varies_less_does_not_come_below_the_floor(documents):
    """Many more features than documents, of falling variance as those of media are."""
    own, other = RNG.normal(size=(2, documents, 300)) / np.sqrt(np.arange(1, 301))
    measure = distances.measure(distances.Extractor("themselves", np.stack), "image", ("text-to-image",))

    def frechet(made):
        return measure.score(*([{"image": row} for row in rows] for rows in (made, own)))[1].value

    floor = frechet(own)
    assert frechet(other) < 2.5 * floor
    for made in (np.broadcast_to(own.mean(axis=0), own.shape), 0.3 * other):
        assert frechet(made) > 1.1 * floor


def test_components_are_those_in_which_the_originals_vary():
    own = np.zeros((16, 5))
    own[:, 3], own[:, 1] = np.arange(16), np.arange(16) % 2
    a, b = distances.components(own + 1, own)
    assert a.shape == b.shape == (16, 2)
    np.testing.assert_allclose(np.square(b).sum(), np.square(own - own.mean(axis=0)).sum())


def test_sets_that_are_too_small_have_no_figure():
    one = np.zeros((1, 3))
    assert distances.kernel(one, one).value is None
    assert distances.across_halves(distances.frechet, np.zeros((3, 3)), np.zeros((3, 3))).value is None
    assert distances.across_halves(distances.frechet, np.zeros((4, 3)), np.zeros((4, 3))) == (0, None, None)
