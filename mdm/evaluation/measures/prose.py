"""Made text against held-out text: how varied it is, how much it repeats, and how far its words lie from held-out ones.

All of these depend on how many words are looked at. So a text gives its first words only, these are joined, text after text,
and cut into passages of equal length, of which the made and the original texts give equally many.

Letters: N passages, W words of a passage, V different n-grams.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np

from mdm.evaluation import statistics
from mdm.evaluation.measures import distances
from mdm.evaluation.measures.measure import ALIKE, LESS, Counts, Documents, Figure, Measure, Score

PASSAGE = 50  # words; and what a text gives at most, so that passages are nearly independent
_LONGEST = 100  # words that are counted of a length: a row may hold no more
_WORD = re.compile(r"\w+|[^\w\s]")

ENTROPY = Figure(f"entropy of the words in {PASSAGE}", "bits", ALIKE)
_FIGURES = (
    ENTROPY,
    Figure("words equal to the one before", "%", ALIKE),
    Figure(f"triples that came before in {PASSAGE} words", "%", ALIKE),
    Figure("different pairs among all", "%", ALIKE),
    Figure("divergence of the words", "bits", LESS),
    Figure("divergence of pairs of words", "bits", LESS),
)
_LENGTH = Figure(f"words, counted to {_LONGEST}", "", ALIKE)


def words(text: str) -> list[str]:
    """Words and punctuation marks, without case."""
    return _WORD.findall(text.casefold())


def passages(texts: Sequence[str]) -> list[list[str]]:
    """N passages of PASSAGE words; what is left over is dropped."""
    joined = [word for text in texts for word in words(text)[:PASSAGE]]
    return [joined[i : i + PASSAGE] for i in range(0, len(joined) - PASSAGE + 1, PASSAGE)]


def entropy(own: Sequence[list[str]]) -> Score:
    """Mean over passages of the entropy of their words, in bits; at most log2 W."""
    found = [_entropy(passage) for passage in own]
    return Counts(np.array(found), np.ones(len(found))).score()


def entropy_score(made: Documents, originals: Documents) -> Score:
    """`entropy` of the texts that were made."""
    return entropy(_cut(made, originals)[0])


def _score(made: Documents, originals: Documents) -> list[Score]:
    own, others = _cut(made, originals)
    single, pairs = (_counts(own, others, size) for size in (1, 2))
    return [
        entropy(own),
        _total(own, lambda passage: (sum(a == b for a, b in _grams(passage, 2)), len(passage) - 1)),
        _total(own, lambda passage: (len(passage) - 2 - len(set(_grams(passage, 3))), len(passage) - 2)),
        _different(pairs[0]),
        *(distances.across_halves(distances.divergence, *counts) for counts in (single, pairs)),
    ]


def _length_score(made: Documents, originals: Documents) -> list[Score]:
    counts = [min(len(words(media["text"])), _LONGEST) for media in made]
    return [Counts(np.array(counts, float), np.ones(len(counts))).score()]


def _cut(made: Documents, originals: Documents) -> tuple[list[list[str]], list[list[str]]]:
    """Passages of both, equally many."""
    own, others = (passages([media["text"] for media in group]) for group in (made, originals))
    most = min(len(own), len(others))
    return own[:most], others[:most]


def _grams(passage: Sequence[str], size: int) -> list[tuple[str, ...]]:
    return list(zip(*(passage[i:] for i in range(size)), strict=False))


def _entropy(passage: Sequence[str]) -> float:
    counts = np.unique(passage, return_counts=True)[1]
    return float(-(counts / counts.sum() * np.log2(counts / counts.sum())).sum())


def _total(own: Sequence[list[str]], count: Callable[[list[str]], tuple[int, int]]) -> Score:
    return Counts(*np.array([count(passage) for passage in own], float).reshape(-1, 2).T).score()


def _counts(own: Sequence[list[str]], others: Sequence[list[str]], size: int) -> tuple[np.ndarray, np.ndarray]:
    """float32 [N, V] each: how often a passage has each of the n-grams of both."""
    number: dict[tuple[str, ...], int] = {}
    rows = [[number.setdefault(gram, len(number)) for gram in _grams(passage, size)] for passage in (*own, *others)]
    counts = np.zeros((len(rows), len(number)), np.float32)
    for row, numbers in zip(counts, rows, strict=True):
        np.add.at(row, numbers, 1)
    return counts[: len(own)], counts[len(own) :]


def _different(counts: np.ndarray) -> Score:
    """Different n-grams as a share of all, over all passages (distinct-n, Li et al. 2016): few where all texts are the same."""
    n, total = len(counts), counts.sum(axis=0)
    if not n:
        return Score(None)
    left_out = [np.count_nonzero(total - own) / (total.sum() - own.sum()) for own in counts] if n > 1 else []
    return Score(np.count_nonzero(total) / float(total.sum()), statistics.jackknife(np.array(left_out)))


PROSE = Measure("prose", ("text", "joint-image-text", "joint-audio-text"), "text", _FIGURES, _score)
LENGTH = Measure(
    "length of texts",
    ("text", "image-to-text", "speech-to-text", "joint-image-text", "joint-audio-text"),
    "text",
    (_LENGTH,),
    _length_score,
)
