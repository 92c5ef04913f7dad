"""What a measure is: figures of made media, told against the originals of the same documents."""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from mdm.codecs.codec import Media
from mdm.evaluation import statistics
from mdm.problems import Problem, refuse_if

Documents = Sequence[Mapping[str, Media]]
"""Media by modality, a document each."""

MORE, LESS, ALIKE = "more", "less", "alike"
"""What is better: a larger figure, a smaller one, or one that is near to that of the originals."""

INSTALL = "pip install 'mdm[scorers]'"
"""What brings the packages of measures."""

_STRANGERS = 8  # other documents that each is told against for chance; all of them would cost the square


class Figure(NamedTuple):
    """name: for people; unit: "%" (the value is a share), "dB", "bits" and the like, or "" for a distance or ratio;
    better: MORE, LESS or ALIKE."""

    name: str
    unit: str
    better: str


class Score(NamedTuple):
    """value: None where there is nothing to tell it from; error: standard error over documents; chance: what media that ignore
    their condition get. None: cannot be told."""

    value: float | None
    error: float | None = None
    chance: float | None = None


class Counts(NamedTuple):
    """A figure as a ratio of sums over documents: what is counted, float [N], of how many, float [N]."""

    counted: np.ndarray
    of: np.ndarray

    def score(self, chance: float | None = None) -> Score:
        return Score(*statistics.ratio(*self), chance)


@dataclasses.dataclass(frozen=True)
class Measure:
    """name:     for a warning
    tasks:    whose targets it measures
    modality: of what is measured, "text + image" for how two belong together
    figures:  what `score` tells
    score:    (made, originals), of the same documents in order -> a score for each of `figures`
    beside:   (group, originals, made) -> the same of originals, or of these through the codec, over as much as `score` takes of
              `made`; None where no figure hangs on how much there is
    packages: modules of the extra `scorers` that it needs
    slow:     takes about a second a document
    digests:  (name, digest) of files that decide the figures, such as a model's; told with the versions
    """

    name: str
    tasks: tuple[str, ...]
    modality: str
    figures: tuple[Figure, ...]
    score: Callable[[Documents, Documents], Sequence[Score]]
    packages: tuple[str, ...] = ()
    slow: bool = False
    digests: tuple[tuple[str, str], ...] = ()
    beside: Callable[[Documents, Documents, Documents], Sequence[Score]] | None = None

    def require(self) -> None:
        """Raises Refusal, naming the extra, for every package that is missing."""
        refuse_if(
            Problem(self.name, package, "is not installed", INSTALL)
            for package in self.packages
            if importlib.util.find_spec(package) is None
        )


def against_own(count: Callable[[Documents, Documents], Counts], made: Documents, originals: Documents) -> Score:
    """Score of `count`, each document against its own original; chance is the same against the originals of others."""
    others = [count(made, [originals[i] for i in order]) for order in strangers(len(made))]
    chance = statistics.ratio(*(np.concatenate(parts) for parts in zip(*others, strict=True)))[0] if others else None
    return count(made, originals).score(chance)


def strangers(documents: int) -> Iterator[np.ndarray]:
    """Permutations without a fixed point, int64 [N], spread over all distances; none for a single document."""
    shifts = np.unique(np.linspace(1, documents - 1, min(_STRANGERS, documents - 1)).round().astype(int))
    for shift in shifts:
        yield (np.arange(documents) + shift) % documents
