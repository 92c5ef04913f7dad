"""How far two sets of media lie apart, in the space of a named feature extractor.

Two sets of one law are not at distance 0 when they are small, and the smaller they are the farther. So the Frechet and the
Jensen-Shannon distance are taken across halves: what was made for the even documents against the originals of the odd ones,
and the other way round, and the mean of both. The originals among themselves, taken the same way, are then the floor, of
the same size; made media never meet their own originals there. The kernel distance has no bias.

Nor may a set come below the floor because it varies less. With more dims than documents it would: the covariances of two small
sets hardly overlap, so that each adds its whole trace, and a painter of one picture would win. Hence few dims: the Frechet
distance is that along the leading components of the originals, and laws of words are those of the frequent ones.

Letters: N, M documents, F features, P components.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import jensenshannon

from mdm.codecs.codec import Media
from mdm.evaluation import statistics
from mdm.evaluation.measures.measure import LESS, Documents, Figure, Measure, Score

Distance = Callable[[np.ndarray, np.ndarray], float]
"""([N, F], [M, F]) -> how far these sets are apart."""

_DOCUMENTS_A_COMPONENT = 8  # four of each half: 12 components of 100 documents


class Extractor(NamedTuple):
    """name: for people, told beside every distance; features: media -> float [N, F], of mean square about 1 (the polynomial
    of the kernel distance is made for that)."""

    name: str
    features: Callable[[Sequence[Media]], np.ndarray]


def measure(extractor: Extractor, modality: str, tasks: tuple[str, ...]) -> Measure:
    """The measure of both distances over an extractor."""

    def score(made: Documents, originals: Documents) -> list[Score]:
        sets = [extractor.features([media[modality] for media in group]) for group in (made, originals)]
        return [kernel(*sets), across_halves(frechet, *components(*sets))]

    names = (f"kernel distance ({extractor.name})", f"Frechet distance ({extractor.name})")
    return Measure(f"{modality} distances", tasks, modality, tuple(Figure(name, "", LESS) for name in names), score)


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """Squared Frechet distance of the normal laws with the means and covariances of two sets (Heusel et al. 2017).

    tr (A B)^(1/2) is the sum of the singular values of the centred sets' product, [N, M]: no root of a singular [F, F].
    """
    difference = a.mean(axis=0) - b.mean(axis=0)
    a, b = ((own - own.mean(axis=0)) / np.sqrt(len(own) - 1) for own in (a, b))
    common = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    return float(difference @ difference + np.square(a).sum() + np.square(b).sum() - 2 * common)


def kernel(made: np.ndarray, originals: np.ndarray) -> Score:
    """Squared maximum mean discrepancy under (x.y / F + 1)^3 (KID, Binkowski et al. 2018); both [N, F].

    Unbiased, also where made[n] depends on originals[n]: such pairs are left out, as in the U-statistic of Gretton et al. 2012
    (lemma 7). It may be negative. The error is a jackknife over documents.
    """
    n, made, originals = len(made), made.astype(np.float64), originals.astype(np.float64)
    if n < 2:
        return Score(None)
    of = lambda a, b: (a @ b.T / a.shape[1] + 1) ** 3  # noqa: E731
    cross = of(made, originals)
    h = of(made, made) + of(originals, originals) - cross - cross.T
    np.fill_diagonal(h, 0)
    total, own = h.sum(), h.sum(axis=1)
    error = statistics.jackknife((total - 2 * own) / ((n - 1) * (n - 2))) if n > 2 else None
    return Score(total / (n * (n - 1)), error)


def components(made: np.ndarray, originals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both [N, F] -> [N, P]: along the leading principal components of the originals, as many as so few documents can tell."""
    centre = originals.mean(axis=0)
    axes = np.linalg.svd(originals - centre, full_matrices=False)[2][: max(1, len(originals) // _DOCUMENTS_A_COMPONENT)]
    return (made - centre) @ axes.T, (originals - centre) @ axes.T


def divergence(a: np.ndarray, b: np.ndarray) -> float:
    """Jensen-Shannon divergence in bits of two laws, given as counts [N, F] and [M, F] that are summed first. From 0 to 1."""
    return float(jensenshannon(*(counts.sum(axis=0, dtype=np.float64) for counts in (a, b)), base=2) ** 2)


def across_halves(distance: Distance, made: np.ndarray, originals: np.ndarray) -> Score:
    """Mean distance of each half of `made` from the other half of `originals`, both [N, F], with a jackknife over documents."""
    n = len(made)
    if n < 4:
        return Score(None)

    def across(kept: np.ndarray) -> float:
        even, odd = kept[kept % 2 == 0], kept[kept % 2 == 1]
        return (distance(made[even], originals[odd]) + distance(made[odd], originals[even])) / 2

    every = np.arange(n)
    left_out = [across(np.delete(every, i)) for i in every] if n >= 6 else []
    return Score(across(every), statistics.jackknife(np.array(left_out)) if left_out else None)
