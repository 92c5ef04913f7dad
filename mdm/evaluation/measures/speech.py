"""Made speech: is it the speech of its text, and does it sound like the recordings of the set.

What needs a recogniser takes a second a document; the rest takes milliseconds.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import numpy as np

from mdm.codecs import mel, recognition
from mdm.codecs.codec import Sound
from mdm.evaluation.measures import distances, warping
from mdm.evaluation.measures.measure import (
    ALIKE,
    LESS,
    MORE,
    Counts,
    Documents,
    Figure,
    Measure,
    Score,
    against_own,
)

_BOTH = ("text-to-speech", "joint-audio-text")

SILENCE_DB = -50.0  # below the loudest frame of a sound: what counts as silence
_LOWEST_DB = -80.0  # of full scale: so quiet is silence whatever the loudest frame is, and the level of nothing at all
_FRAME = 50  # frames a second

_SOUND = (
    Figure("silence", "%", ALIKE),
    Figure("level", "dB", ALIKE),
    Figure("duration over that of the originals", "", ALIKE),
)


_heard: dict[
    tuple[str, int], str
] = {}  # digest and rate of a sound -> words; what was heard once need not be heard again


def heard(documents: Documents) -> list[str]:
    """Words that the recogniser finds in the speech of each document."""
    own = [(hashlib.sha256(sound.samples.tobytes()).hexdigest(), sound.rate) for sound in sounds(documents)]
    new = {key: sound for key, sound in zip(own, sounds(documents), strict=True) if key not in _heard}
    _heard.update(zip(new, recognition.transcribe(list(new.values())), strict=True))
    return [_heard[key] for key in own]


def word_errors(found: Documents, said: Documents) -> Counts:
    """Words of the texts of `said` that those of `found`, words that were heard, have wrong."""
    return Counts(*recognition.word_errors([recognition.words(m["text"]) for m in said], [m["text"] for m in found]))


def sounds(documents: Documents) -> list[Sound]:
    """The speech of each document, not empty."""
    return [_some(media["audio"]) for media in documents]


def _some(sound: Sound) -> Sound:
    """A model may say nothing at all: that stands as a moment of silence."""
    return sound if len(sound.samples) else Sound(np.zeros(mel.HOP, np.float32), mel.RATE)


def silence(sound: Sound) -> tuple[float, float]:
    """Frames that are silent, and frames."""
    power = np.square(sound.samples.astype(np.float64))
    frame = max(1, sound.rate // _FRAME)
    frames = power[: len(power) // frame * frame].reshape(-1, frame).mean(axis=1) if len(power) >= frame else power
    least = max(frames.max(initial=0.0) * 10 ** (SILENCE_DB / 10), 10 ** (_LOWEST_DB / 10))
    return float((frames < least).sum()), float(len(frames))


def level(sound: Sound) -> float:
    """Mean power in dB of full scale, of which a sine has -3; from _LOWEST_DB on."""
    power = float(np.square(sound.samples.astype(np.float64)).mean()) if len(sound.samples) else 0.0
    return 10 * math.log10(max(power, 10 ** (_LOWEST_DB / 10)))


def features(recordings: Sequence[Sound]) -> np.ndarray:
    """float32 [N, 240]: of each log-mel band over time the mean, the standard deviation, and the mean step between frames."""
    return np.stack([_statistics(mel.log_mel(_some(sound))) for sound in recordings])


def _statistics(frames: np.ndarray) -> np.ndarray:
    """[T, M] -> [3 M]. The factors bring recordings to a mean square of about 1."""
    steps = np.abs(np.diff(frames, axis=0)).mean(axis=0) if len(frames) > 1 else np.zeros(frames.shape[1], np.float32)
    silent = math.log(mel.FLOOR)
    return np.concatenate([(frames.mean(axis=0) - silent) / 4, frames.std(axis=0) / 2, steps * 2])


MEL_STATISTICS = distances.Extractor("mel statistics", features)


def _sound_score(made: Documents, originals: Documents) -> list[Score]:
    own, others = ([media["audio"] for media in group] for group in (made, originals))
    silent = np.array([silence(sound) for sound in sounds(made)])
    seconds = [np.array([len(s.samples) / s.rate for s in group]) for group in (own, others)]
    levels = np.array([level(sound) for sound in own])
    return [Counts(*silent.T).score(), Counts(levels, np.ones(len(own))).score(), Counts(*seconds).score()]


def _own_score(made: Documents, originals: Documents) -> list[Score]:
    apart = warping.distances(sounds(made), sounds(originals))
    nearest = (apart < np.diagonal(apart)[:, None]).sum(axis=1) == 0
    return [Counts(nearest * 1.0, np.ones(len(nearest))).score(1 / len(nearest))]


def _words_score(made: Documents, originals: Documents) -> list[Score]:
    recognition.tell_wordless("words of speech", [recognition.words(media["text"]) for media in originals])
    found = [{"text": text} for text in heard(made)]
    return [against_own(word_errors, found, originals)]


WORDS = Measure(
    "words of speech",
    ("text-to-speech",),
    "audio",
    (Figure("word error rate", "%", LESS),),
    _words_score,
    packages=recognition.PACKAGES,
    slow=True,
)
OWN_RECORDING = Measure(
    "speech of texts",
    ("text-to-speech",),
    "audio",
    (Figure("own recording is nearest", "%", MORE),),
    _own_score,
)
SOUND = Measure("sound of speech", _BOTH, "audio", _SOUND, _sound_score)
SPEECH_DISTANCES = distances.measure(MEL_STATISTICS, "audio", _BOTH)
