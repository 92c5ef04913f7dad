import jax
import numpy as np
import pytest
from numpy.polynomial.legendre import leggauss

from mdm.diffusion.schedules import parse
from mdm.problems import Refusal

NAMES = ("linear", "cosine", "polynomial-2", "polynomial-0.5", "geometric", "geometric-0.00001-16")
SMALLEST = 1e-3

every_schedule = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(autouse=True)
def double_precision():
    with jax.enable_x64(True):
        yield


@every_schedule
def test_cdf_inverts_the_quantile(name):
    density = parse(name, SMALLEST).density
    u = np.linspace(0.01, 0.95, 41)
    r = np.asarray(density.quantile(u))
    assert (r > 0).all() and (r <= 1).all()
    np.testing.assert_allclose([density.cdf(float(x)) for x in r], u, atol=1e-8)


@every_schedule
def test_ratio_runs_from_the_smallest_to_one(name):
    schedule = parse(name, SMALLEST)
    ratio = np.asarray(schedule.ratio(np.linspace(0, 1, 1001)))
    assert ratio[0] == pytest.approx(SMALLEST, rel=1e-6)
    assert ratio[-1] == pytest.approx(1, abs=1e-6)
    assert (np.diff(ratio) > -1e-15).all()


@every_schedule
def test_density_integrates_to_one(name):
    schedule = parse(name, SMALLEST)
    x, w = leggauss(2000)
    t, w = (x + 1) / 2, w / 2
    # Logarithmic below 1/2; above it the rest as exp(-s), which the singular ends (cosine, geometric) need.
    low = SMALLEST * (0.5 / SMALLEST) ** t
    span = getattr(schedule.density, "most", 28.0) - np.log(2)  # geometric ends at 1 - exp(-most)
    s = np.log(2) + t * span
    high = 1 - np.exp(-s)
    density = lambda r: 1 / (r * np.asarray(schedule.weight(r)))  # noqa: E731
    total = (w * density(low) * low * np.log(0.5 / SMALLEST)).sum() + (w * density(high) * np.exp(-s) * span).sum()
    assert total == pytest.approx(1, abs=1e-5)


@every_schedule
def test_weight_is_one_over_ratio_and_density(name):
    schedule = parse(name, SMALLEST)
    u, step = np.linspace(0.01, 0.97, 97), 1e-6
    slope = (np.asarray(schedule.ratio(u + step)) - np.asarray(schedule.ratio(u - step))) / (
        2 * step
    )  # dr/du = 1 / p(r)
    r = np.asarray(schedule.ratio(u))
    np.testing.assert_allclose(np.asarray(schedule.weight(r)), slope / r, rtol=2e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("name", "time", "weight"),
    [
        ("linear", lambda r: r, lambda t: 1 / t),
        ("cosine", lambda r: 2 / np.pi * np.arcsin(r), lambda t: np.pi / 2 / np.tan(np.pi / 2 * t)),
        ("polynomial-2", lambda r: r**0.5, lambda t: 2 / t),
        ("polynomial-0.5", lambda r: r**2, lambda t: 0.5 / t),
    ],
)
def test_weights_from_alpha_alone(name, time, weight):
    # -alpha'_t / (1 - alpha_t) written out once more; draws are cut at SMALLEST, so the share that is left stands in front.
    r, schedule = np.array([0.01, 0.3, 0.9]), parse(name, SMALLEST)
    np.testing.assert_allclose(np.asarray(schedule.weight(r)), weight(time(r)) * (1 - time(SMALLEST)), rtol=1e-12)


@every_schedule
def test_float32_is_precise_near_zero_and_finite_at_one(name):
    schedule = parse(name, 1e-5)
    wide = np.geomspace(1.01e-5 if name != "geometric" else 1.01e-3, 0.5, 200).astype(np.float32)
    exact = np.asarray(schedule.weight(wide.astype(np.float64)))
    with jax.enable_x64(False):
        narrow = np.asarray(schedule.weight(jax.numpy.asarray(wide)))
        edges = np.asarray(schedule.weight(jax.numpy.array([1.0, 1 - 2**-24, 1 - 2**-20], np.float32)))
        ratios = np.asarray(schedule.ratio(jax.numpy.array([0.0, 2**-24, 1 - 2**-24], np.float32)))
    assert narrow.dtype == np.float32
    np.testing.assert_allclose(narrow, exact, rtol=2e-6)
    assert np.isfinite(edges).all() and (edges >= 0).all()
    assert (ratios >= np.float32(1e-5)).all() and (ratios <= 1).all()


@every_schedule
def test_numpy_in_numpy_or_jax_out_are_equal(name):
    schedule = parse(name, SMALLEST)
    u = np.linspace(0, 0.99, 7)
    np.testing.assert_allclose(
        np.asarray(schedule.ratio(u)), np.asarray(schedule.ratio(jax.numpy.asarray(u))), rtol=1e-12
    )


def test_what_is_left_out_follows_the_lowest_ratio_that_is_drawn():
    assert parse("linear", 1e-3).left_out(7.0) == pytest.approx(7e-3)
    # This one never draws below 1 - exp(-0.01), whatever the smallest ratio is.
    assert parse("geometric-0.01-20", 1e-3).left_out(1.0) == pytest.approx(-np.expm1(-0.01))


@pytest.mark.parametrize(
    "name",
    [
        "", "lineal", "linear-1", "cosine-2", "polynomial", "polynomial-", "polynomial-0", "polynomial-two", "polynomial-nan",
        "polynomial-inf", "polynomial--2", "geometric-1-2-3", "geometric-20-0.001", "geometric-15-15", "geometric-0.001-3",
        "geometric-0.001-inf", "Linear",
    ],
)  # fmt: skip
def test_what_is_no_schedule_is_refused_by_name(name):
    with pytest.raises(Refusal) as refusal:
        parse(name, SMALLEST, "corruption.schedule")
    (problem,) = refusal.value.problems
    assert problem.where == "corruption.schedule" and problem.value == name and "polynomial-<power>" in problem.remedy


@pytest.mark.parametrize("smallest", [0.0, -1e-3, 1.0, float("nan")])
def test_impossible_smallest_ratio_is_refused(smallest):
    with pytest.raises(Refusal):
        parse("linear", smallest)
