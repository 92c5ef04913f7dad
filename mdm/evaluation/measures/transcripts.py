"""Speech written down against what was said; needs jiwer."""

from __future__ import annotations

from mdm.codecs import recognition
from mdm.evaluation.measures.measure import LESS, Counts, Documents, Figure, Measure, Score, against_own

_FIGURES = (Figure("word error rate", "%", LESS), Figure("character error rate", "%", LESS))


def _score(made: Documents, originals: Documents) -> list[Score]:
    recognition.tell_wordless("transcripts", _said(originals))
    return [against_own(count, made, originals) for count in (_words, _characters)]


def _words(made: Documents, originals: Documents) -> Counts:
    return Counts(*recognition.word_errors(_said(originals), _said(made)))


def _characters(made: Documents, originals: Documents) -> Counts:
    return Counts(*recognition.character_errors(_said(originals), _said(made)))


def _said(documents: Documents) -> list[str]:
    return [recognition.words(media["text"]) for media in documents]


TRANSCRIPTS = Measure("transcripts", ("speech-to-text",), "text", _FIGURES, _score, packages=("jiwer",))
