"""Bits per token with two standard errors.

The figure is a ratio of sums, sum of nats / sum of targets / ln 2: a mean of per-document ratios would weigh a short caption
like a chapter.

Error of the noise: what other masks would change. Strata of one document share one shift, so its J samples are not
independent and their spread says little. But estimates of different seeds are independent and equally distributed, and so are
those of different documents. With s_d^2 the variance of document d's nats between its R seeds,

    se_noise^2 = sum_d s_d^2 / R / (sum of targets)^2 / ln(2)^2

which has N (R - 1) degrees of freedom: two seeds are enough when there are many documents.

Error of the data: what other documents would change, by a bootstrap over groups (documents of one concept are no independent
evidence) of both sums. The spread between documents contains the noise of their estimates, so this is the whole error
of the figure as a statement on the data; the two are never added.

Letters: R repeats, N examples, G groups.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

RESAMPLES = 2000  # the error of a bootstrap error is then 1/sqrt(2 * 2000), under 2%
_AT_ONCE = 2**22  # draws held in memory


@dataclasses.dataclass(frozen=True)
class Estimate:
    """In bits per token. An error that cannot be told (one seed, one group) is None."""

    bits: float
    se_noise: float | None
    se_data: float | None


def bits_per_token(nats: np.ndarray, targets: np.ndarray, groups: Sequence[str], seed: int = 0) -> Estimate:
    """nats float64 [R, N], targets int64 [N], groups [N] -> their ratio with both errors."""
    unit = float(targets.sum()) * math.log(2)
    return Estimate(
        bits=float(nats.mean(axis=0).sum()) / unit,
        se_noise=_noise_error(nats) / unit if len(nats) > 1 else None,
        se_data=_bootstrap_error(nats.mean(axis=0), targets, groups, seed),
    )


def paired_difference(
    nats: np.ndarray, other: np.ndarray, targets: np.ndarray, groups: Sequence[str], seed: int = 0
) -> Estimate:
    """`nats` minus `other`, both [R, N], of the same examples with the same noise.

    What the two share cancels before anything is squared, so the errors are those of the difference itself.
    """
    return bits_per_token(nats - other, targets, groups, seed)


def ratio(counted: np.ndarray, of: np.ndarray) -> tuple[float | None, float | None]:
    """Ratio of two sums over independent documents, [N] each, with its standard error (linearised).

    The error is None for one document, both are where there is nothing to count.
    """
    total = float(of.sum())
    if not total:
        return None, None
    value = float(counted.sum()) / total
    n = len(of)
    return value, math.sqrt(float(np.square(counted - value * of).sum()) * n / (n - 1)) / total if n > 1 else None


def jackknife(left_out: np.ndarray) -> float | None:
    """Standard error of a figure of n documents from its values without each of them, [n]; None for fewer than two.

    For smooth figures of a whole set, such as distances, that are no sum over documents (Efron and Stein 1981).
    """
    n = len(left_out)
    return math.sqrt((n - 1) * float(np.var(left_out))) if n > 1 else None


def _noise_error(nats: np.ndarray) -> float:
    return math.sqrt(nats.var(axis=0, ddof=1).sum() / len(nats))


def _bootstrap_error(nats: np.ndarray, targets: np.ndarray, groups: Sequence[str], seed: int) -> float | None:
    _, group = np.unique(np.asarray(groups), return_inverse=True)
    count = int(group.max()) + 1
    if count < 2:
        return None
    sums = np.stack([np.bincount(group, nats, count), np.bincount(group, targets, count)], axis=1)
    generator = np.random.default_rng(seed)
    ratios: list[np.ndarray] = []
    rows = max(1, _AT_ONCE // count)
    for start in range(0, RESAMPLES, rows):
        drawn = generator.integers(count, size=(min(rows, RESAMPLES - start), count))
        total = sums[drawn].sum(axis=1)
        ratios.append(total[:, 0] / np.maximum(total[:, 1], 1))
    # The plug-in variance of G draws is (G-1)/G of the unbiased one: 5% of the error at 10 groups.
    return float(np.concatenate(ratios).std(ddof=1)) * math.sqrt(count / (count - 1)) / math.log(2)
