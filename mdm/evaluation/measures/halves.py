"""Do the two halves of what a joint task makes from nothing belong together?

There is no original of such a pair. So the text is looked up among the original texts, the picture or the speech among the
original ones, and the two belong together if they lead to the same document, or nearly. It asks for likeness to something in
the set, so that a figure above chance says something and one at chance says little; chance is exact, over all other pairings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from mdm.codecs import recognition
from mdm.evaluation import retrieval
from mdm.evaluation.measures import speech, warping
from mdm.evaluation.measures.measure import LESS, MORE, Counts, Documents, Figure, Measure, Score, against_own

_TEN = 10


def similarity(made: Sequence[str], own: Sequence[str]) -> np.ndarray:
    """Cosine between counts of three characters each, float64 [N, M]; case and space do not count for more than one sign."""
    grams = [[_grams(text) for text in texts] for texts in (made, own)]
    number = {gram: i for i, gram in enumerate(sorted(set().union(*grams[0], *grams[1])))}
    vectors = [np.zeros((len(texts), len(number))) for texts in grams]
    for matrix, texts in zip(vectors, grams, strict=True):
        for row, counts in zip(matrix, texts, strict=True):
            row[[number[gram] for gram in counts]] = list(counts.values())
        matrix /= np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-9)
    return vectors[0] @ vectors[1].T


def _grams(text: str) -> Counter[str]:
    text = f" {' '.join(text.casefold().split())} "
    return Counter(text[i : i + 3] for i in range(len(text) - 2))


def agreement(texts: np.ndarray, others: np.ndarray) -> Score:
    """Share of the documents whose picture or sound has the original of the nearest text among its nearest ten.

    texts: similarity to the original texts; others: distance from the original pictures or sounds; [N, M] both.
    """
    nearest = texts.argmax(axis=1)
    ranks = others.argsort(axis=1, kind="stable").argsort(axis=1)
    found = ranks[:, nearest] < _TEN  # [picture of, text of]
    n = len(found)
    chance = (found.sum() - np.trace(found)) / (n * (n - 1)) if n > 1 else None
    return Counts(np.diagonal(found) * 1.0, np.ones(n)).score(chance)


def _together(apart: Callable[[Documents, Documents], np.ndarray]) -> Callable[[Documents, Documents], list[Score]]:
    def score(made: Documents, originals: Documents) -> list[Score]:
        texts = [[media["text"] for media in group] for group in (made, originals)]
        return [agreement(similarity(*texts), apart(made, originals))]

    return score


def _pictures_apart(made: Documents, originals: Documents) -> np.ndarray:
    return retrieval.distances(*([media["image"] for media in group] for group in (made, originals)))


def _sounds_apart(made: Documents, originals: Documents) -> np.ndarray:
    return warping.distances(speech.sounds(made), speech.sounds(originals))


def _words_score(made: Documents, originals: Documents) -> list[Score]:
    recognition.tell_wordless("words heard", [recognition.words(media["text"]) for media in made])
    return [against_own(speech.word_errors, [{"text": text} for text in speech.heard(made)], made)]


CAPTION_AND_PICTURE = Measure(
    "caption and picture",
    ("joint-image-text",),
    "text + image",
    (Figure("picture of the nearest caption is one of the nearest ten", "%", MORE),),
    _together(_pictures_apart),
)
TEXT_AND_SPEECH = Measure(
    "text and speech",
    ("joint-audio-text",),
    "text + audio",
    (Figure("recording of the nearest text is one of the nearest ten", "%", MORE),),
    _together(_sounds_apart),
)
TEXT_AND_WORDS = Measure(
    "text and words heard",
    ("joint-audio-text",),
    "text + audio",
    (Figure("word error rate of the own text", "%", LESS),),
    _words_score,
    packages=recognition.PACKAGES,
    slow=True,
)
