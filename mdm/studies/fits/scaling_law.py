"""The scaling law L(N, D) = E + A / N^alpha + B / D^beta, and the compute-optimal frontier that follows from it.

The form, and the fit by a Huber loss on log L in log-sum-exp form from many starts, are those of Hoffmann et al. 2022
(arXiv 2203.15556, section 3.3 and appendix D.2). Besiroglu et al. 2024 (arXiv 2404.10102) resample runs for intervals; of a dozen
runs that leaves too few different ones for five coefficients. Here the sizes stay as they are and errors of the size of the
residuals are drawn. Runs that differ in their seed alone are one point, their mean: seeds tell the noise of a point, but nothing
of how far the law itself is off there. When the data are too few is part of the result.

Letters: R points, S starts.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit

from mdm.problems import Problem, refuse_if
from mdm.studies.fits.interval import Interval, interval

DELTA = 1e-3  # of the Huber loss: residuals of log L beyond 0.1 % weigh linearly
LEAST_RUNS = 7  # five coefficients, and two runs to disagree
LEAST_SIZES = 3  # values of N, and of D: an exponent beside a constant needs three
WIDEST = 3.0  # an interval wider than this factor does not determine a coefficient
_LEAST_E = 12.0  # log E lies at most so far below the lowest log L: E is then nothing
MOST = 3.0  # bound of the exponents; published ones lie between 0.05 and 0.8
REPEATS = 200
STARTS = 24
_EDGE = 1e-2  # so near, an exponent lies at its bound
_ROUGH = 40  # iterations after which valleys can be told apart
_DRAW = 120  # iterations of a resampled fit: what is left is a hundredth of its spread
FLOP_PER_TOKEN = 6.0  # C = 6 N D
_NAMES = ("E", "A", "B", "alpha", "beta")


@dataclasses.dataclass(frozen=True)
class ScalingLaw:
    """coefficients: E, A, B, alpha, beta
    exponent:     of D*(N) on the compute-optimal frontier, alpha / beta
    factor:       k of D*(N) = k N^exponent, for C = 6 N D
    residuals:    log L of the points minus that of the law, [R]
    reservations: what the data do not determine; empty if they determine all of it
    """

    coefficients: Mapping[str, Interval]
    exponent: Interval
    factor: Interval
    residuals: np.ndarray
    reservations: tuple[str, ...]

    @property
    def determined(self) -> bool:
        return not self.reservations

    def at(self, parameters: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """Loss of the law."""
        e, a, b, alpha, beta = (self.coefficients[name].value for name in _NAMES)
        return e + a / np.asarray(parameters, float) ** alpha + b / np.asarray(tokens, float) ** beta

    def best_tokens(self, parameters: np.ndarray) -> np.ndarray:
        """D*(N): tokens with which a model of N parameters is the best for what both cost."""
        return self.factor.value * np.asarray(parameters, float) ** self.exponent.value


def scaling_law(
    parameters: Sequence[float],
    tokens: Sequence[float],
    losses: Sequence[float | None],
    repeats: int = REPEATS,
    seed: int = 0,
    where: str = "scaling law",
) -> ScalingLaw:
    """Fits the law to the means of runs of one size and horizon. Runs without a finite loss are left out.

    Raises Refusal for too few runs, or for runs of too few sizes.
    """
    runs = [run for run in zip(parameters, tokens, losses, strict=True) if run[2] is not None and math.isfinite(run[2])]
    refuse_if(problems(where, [(n, d) for n, d, _ in runs], "runs that can be fitted"))
    points = dict.fromkeys((n, d) for n, d, _ in runs)
    means = [(*point, np.mean([loss for *own, loss in runs if tuple(own) == point])) for point in points]
    n, d, y = np.log(np.asarray(means, float)).T
    # Around their means: otherwise log A moves with alpha times log N, about 17, and L-BFGS creeps along a ridge.
    centre = (n.mean(), d.mean())
    n, d = n - centre[0], d - centre[1]
    generator = np.random.default_rng(seed)
    starts = _starts(y, generator)
    rough = sorted((_minimum(start, n, d, y, _ROUGH) for start in starts), key=lambda found: found.fun)
    best = min((_minimum(found.x, n, d, y) for found in rough[:4]), key=lambda found: found.fun).x
    predicted = _predicted(best, n, d)[0]
    residuals = y - predicted
    drawn = []
    for _ in range(repeats):
        again = predicted + _errors(residuals, generator)
        # Two starts: where all data have their minimum, and elsewhere, so that a second valley shows in the intervals.
        both = (best, starts[generator.integers(len(starts))])
        found = min((_minimum(start, n, d, again, _ROUGH) for start in both), key=lambda result: result.fun)
        drawn.append(_minimum(found.x, n, d, again, _DRAW).x)
    values, draws = _coefficients(best[None], *centre)[0], _coefficients(np.stack(drawn), *centre)
    coefficients = {name: interval(float(values[i]), draws[:, i]) for i, name in enumerate(_NAMES)}
    exponent, factor = (
        interval(float(value[0]), draw) for value, draw in zip(_frontier(values[None]), _frontier(draws), strict=True)
    )
    floor = math.exp(float(y.min()) - _LEAST_E + _EDGE)
    return ScalingLaw(coefficients, exponent, factor, residuals, _reservations(coefficients, exponent, floor))


def problems(where: str, runs: Sequence[tuple[float, float]], what: str = "runs") -> list[Problem]:
    """What keeps runs of these (N, D) from determining five coefficients."""
    found = []
    if len(set(runs)) < LEAST_RUNS:
        reason = f"{len(set(runs))} {what}, of different size; five coefficients need {LEAST_RUNS}"
        found.append(Problem(where, None, reason, "add sizes"))
    for name, values in (("parameters", {n for n, _ in runs}), ("tokens", {d for _, d in runs})):
        if len(values) < LEAST_SIZES:
            reason = f"{len(values)} different values among the {what}; its exponent needs {LEAST_SIZES}"
            found.append(Problem(f"{where}.{name}", None, reason, "add sizes"))
    return found


def _starts(y: np.ndarray, generator: np.random.Generator) -> list[np.ndarray]:
    """Points (log A, log B, log E, alpha, beta) for centred sizes, [S]: exponents and shares of the three terms are drawn."""
    exponents = np.exp(generator.uniform(math.log(0.05), math.log(1.5), (STARTS, 2)))
    shares = np.log(generator.dirichlet((1.0, 1.0, 1.0), STARTS)) + y.min()
    return list(np.concatenate([shares, exponents], axis=1))


def _predicted(point: np.ndarray, n: np.ndarray, d: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """log L [R], and the shares of its three terms [3, R]."""
    terms = np.stack([point[0] - point[3] * n, point[1] - point[4] * d, np.full_like(n, point[2])])
    most = terms.max(axis=0)
    total = most + np.log(np.exp(terms - most).sum(axis=0))
    return total, np.exp(terms - total)


def _minimum(start: np.ndarray, n: np.ndarray, d: np.ndarray, y: np.ndarray, most: int = 500):
    """The minimum of the Huber loss next to `start`, after at most `most` iterations.

    BFGS without limits of memory: five coefficients need none, and SciPy's L-BFGS-B spends 20 times as long on waking the threads
    of its linear algebra. The bounds are in the coordinates: E and the exponents are logistic in what is searched.
    """
    low = np.array([float(y.min()) - _LEAST_E, 0.0, 0.0])
    wide = np.array([_LEAST_E, MOST, MOST])

    def bounded(free: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        share = expit(free[2:])
        return np.concatenate([free[:2], low + wide * share]), wide * share * (1 - share)

    def objective(free: np.ndarray) -> tuple[float, np.ndarray]:
        point, slopes = bounded(free)
        total, shares = _predicted(point, n, d)
        off = total - y
        huber = np.where(np.abs(off) <= DELTA, off**2 / 2, DELTA * (np.abs(off) - DELTA / 2))
        slope = shares * np.clip(off, -DELTA, DELTA)
        gradient = np.array([*slope.sum(axis=1), -(slope[0] * n).sum(), -(slope[1] * d).sum()])
        gradient[2:] *= slopes
        return float(huber.sum()) / DELTA, gradient / DELTA  # in units of DELTA: of a good fit it is 1e-6

    inside = np.clip((start[2:] - low) / wide, 1e-6, 1 - 1e-6)
    found = minimize(objective, np.concatenate([start[:2], logit(inside)]), jac=True, method="BFGS",
                     options={"maxiter": most, "gtol": 1e-7})  # fmt: skip
    found.x = bounded(found.x)[0]
    return found


def _errors(residuals: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Errors [R] of a size that is drawn too, as for a linear fit (`linear`): the sum of squared residuals over a chi-square of
    R - 5.

    Normal, not the residuals themselves: a Huber fit goes through about five of its points, whose residuals are nothing, and
    intervals from residuals drawn anew held 92 % where these hold 97 %.
    """
    sigma = math.sqrt(float(np.square(residuals).sum()) / generator.chisquare(len(residuals) - len(_NAMES)))
    return sigma * generator.standard_normal(len(residuals))


def _coefficients(points: np.ndarray, n: float, d: float) -> np.ndarray:
    """E, A, B, alpha, beta of points [.., 5] for sizes around (n, d)."""
    a, b, e, alpha, beta = points.T
    return np.stack([np.exp(e), np.exp(a + alpha * n), np.exp(b + beta * d), alpha, beta], axis=1)


def _frontier(coefficients: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Exponent and factor of D*(N): where alpha A / N^alpha = beta B / D^beta, the condition of the least L at fixed N D."""
    _, a, b, alpha, beta = coefficients.T
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        exponent = np.where(beta > 0, alpha / beta, np.inf)
        factor = np.where((beta > 0) & (alpha > 0), ((beta * b) / (alpha * a)) ** (1 / beta), np.inf)
    return exponent, np.nan_to_num(factor, nan=np.inf, posinf=np.inf)


def _reservations(coefficients: Mapping[str, Interval], exponent: Interval, floor: float) -> tuple[str, ...]:
    """floor: an E that is no more than this lies at its bound"""
    found = []
    if coefficients["E"].value <= floor:
        found.append(
            "E lies at its bound, nothing: the losses show no floor, and the exponents are those of a law without one"
        )
    for name in ("alpha", "beta"):
        value = coefficients[name].value
        if not _EDGE < value < MOST - _EDGE:
            found.append(f"{name} = {value:.3g} lies at its bound: the data do not determine it")
    for name, figure in (*((name, coefficients[name]) for name in ("E", "alpha", "beta")), ("alpha / beta", exponent)):
        if figure.factor > WIDEST:
            found.append(f"the interval of {name} is wider than a factor of {WIDEST:g}: the data do not determine it")
        if not figure.holds(figure.value):
            found.append(f"the best {name} lies outside of its own interval: the fit has more than one valley")
    return tuple(found)
