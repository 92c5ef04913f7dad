"""Descriptions of pictures against the captions of their originals; needs sacrebleu."""

from __future__ import annotations

import numpy as np

from mdm.evaluation.measures.measure import MORE, Counts, Documents, Figure, Measure, Score, against_own
from mdm.evaluation.measures.prose import words

_FIGURES = (Figure("chrF", "points", MORE), Figure("same words", "%", MORE))


def _score(made: Documents, originals: Documents) -> list[Score]:
    return [against_own(count, made, originals) for count in (_chrf, _same)]


def _chrf(made: Documents, originals: Documents) -> Counts:
    """chrF2 of each caption (Popovic 2015), 0 to 100; their mean is the figure: a set's own chrF would have no error."""
    from sacrebleu.metrics import CHRF

    metric = CHRF()
    scores = [metric.sentence_score(a["text"], [b["text"]]).score for a, b in zip(made, originals, strict=True)]
    return Counts(np.array(scores), np.ones(len(scores)))


def _same(made: Documents, originals: Documents) -> Counts:
    equal = [words(a["text"]) == words(b["text"]) for a, b in zip(made, originals, strict=True)]
    return Counts(np.array(equal, float), np.ones(len(equal)))


CAPTIONS = Measure("captions", ("image-to-text",), "text", _FIGURES, _score, packages=("sacrebleu",))
