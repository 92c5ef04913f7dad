"""Made text against held-out text: how varied it is, how much it repeats, and how far its words lie from held-out ones.

All of these depend on how many words are looked at. So a text gives its first words only, these are joined, text after text,
and cut into passages of equal length, of which the made and the original texts give equally many; what stands beside a figure of
the made texts is taken on just as many passages.

Letters: N passages, W words of a passage, V different n-grams.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np

from mdm.evaluation import statistics
from mdm.evaluation.measures import distances
from mdm.evaluation.measures.measure import ALIKE, LESS, Counts, Documents, Figure, Measure, Score

_LONGEST = 100  # words that are counted of a length: a row may hold no more
_FREQUENT = 5  # times that the originals have what is told apart in the divergences; all the rest counts as one
_WORD = re.compile(r"\w+|[^\w\s]")


def measure(tasks: tuple[str, ...], size: int) -> Measure:
    """The measure of variety, over passages of `size` words, which is also what a text gives at most."""

    def beside(group: Documents, originals: Documents, made: Documents) -> list[Score]:
        most = _most(made, originals, size)
        own, others = (_passages(documents, size)[:most] for documents in (group, originals))
        single, pairs = (_counts(own, others, length) for length in (1, 2))
        return [
            _entropy_score(own),
            _total(own, lambda passage: (sum(a == b for a, b in _grams(passage, 2)), size - 1)),
            _total(own, lambda passage: (size - 2 - len(set(_grams(passage, 3))), size - 2)),
            _different(pairs[0]),
            _divergence(*single),
            _divergence(*pairs),
        ]

    figures = (
        entropy(size),
        Figure("words equal to the one before", "%", ALIKE),
        Figure(f"triples that came before in {size} words", "%", ALIKE),
        Figure("different pairs among all", "%", ALIKE),
        Figure("divergence of frequent words", "bits", LESS),
        Figure("divergence of frequent pairs", "bits", LESS),
    )
    score = lambda made, originals: beside(made, originals, made)  # noqa: E731
    return Measure("prose", tasks, "text", figures, score, beside=beside)


def entropy(size: int) -> Figure:
    """The figure that `entropy_score` gives."""
    return Figure(f"entropy of the words in {size}", "bits", ALIKE)


def entropy_score(group: Documents, originals: Documents, made: Documents, size: int) -> Score:
    """Mean over passages of `size` words of the entropy of their words, in bits; at most log2 of it. Of as many passages of
    `group` as both `made` and the originals give."""
    return _entropy_score(_passages(group, size)[: _most(made, originals, size)])


def words(text: str) -> list[str]:
    """Words and punctuation marks, without case."""
    return _WORD.findall(text.casefold())


def passages(texts: Sequence[str], size: int) -> list[list[str]]:
    """N passages of `size` words; what is left over is dropped."""
    joined = [word for text in texts for word in words(text)[:size]]
    return [joined[i : i + size] for i in range(0, len(joined) - size + 1, size)]


def _length_score(made: Documents, originals: Documents) -> list[Score]:
    counts = [min(len(words(media["text"])), _LONGEST) for media in made]
    return [Counts(np.array(counts, float), np.ones(len(counts))).score()]


def _passages(documents: Documents, size: int) -> list[list[str]]:
    return passages([media["text"] for media in documents], size)


def _most(made: Documents, originals: Documents, size: int) -> int:
    """Passages that both give."""
    return min(len(_passages(group, size)) for group in (made, originals))


def _entropy_score(own: Sequence[list[str]]) -> Score:
    return Counts(np.array([_entropy(passage) for passage in own]), np.ones(len(own))).score()


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


def _divergence(own: np.ndarray, others: np.ndarray) -> Score:
    """Across halves, of the n-grams that the originals have often, and one more for all others; none if no n-gram is frequent."""
    frequent = others.sum(axis=0) >= _FREQUENT
    if not frequent.any():
        return Score(None)
    own, others = (np.c_[counts[:, frequent], counts[:, ~frequent].sum(axis=1)] for counts in (own, others))
    return distances.across_halves(distances.divergence, own, others)


PROSE = measure(("text",), 50)
SHORT = measure(("joint-image-text", "joint-audio-text"), 20)
LENGTH = Measure(
    "length of texts",
    ("text", "image-to-text", "speech-to-text", "joint-image-text", "joint-audio-text"),
    "text",
    (Figure(f"words, counted to {_LONGEST}", "", ALIKE),),
    _length_score,
)
