"""Sound as log-mel frames, and back by Griffin-Lim. NumPy only; 50 frames a second at 16 kHz.

Source of the phase iteration: Perraudin, Balazs and Søndergaard 2013 (fast Griffin-Lim).

Letters: N samples, T frames, F frequencies, M mel bands.
"""

from __future__ import annotations

import functools
import math

import numpy as np
from scipy import signal

from mdm.codecs.codec import Sound
from mdm.problems import Problem, Refusal

RATE = 16_000
_LEAST_RATE, _MOST_RATE = 1000, 400_000  # of a sound that is given
HOP = 320
WINDOW = 1024
BANDS = 80
FLOOR = 1e-4  # magnitude that counts as silence: 80 dB below a sine of full scale, under the noise of 16-bit recordings
LOWEST_HZ, HIGHEST_HZ = 50.0, 7600.0
DECIBEL = 20 / math.log(10)  # of one unit of log magnitude
_PAD = (WINDOW - HOP) // 2  # so that N samples give N / HOP frames
_INVERSIONS, _PHASES, _MOMENTUM = 40, 40, 0.99


def log_mel(sound: Sound) -> np.ndarray:
    """float32 [T, M], natural logarithm of the mel magnitude; T = ceil(N / HOP) at 16 kHz.

    Raises Refusal for what is no sound: empty, not mono, not of floating point, not finite, or without a usable rate.
    """
    samples = at_rate(sound)
    frames = -(-len(samples) // HOP)
    samples = np.pad(samples, (0, frames * HOP - len(samples)))
    return np.log(np.maximum(np.abs(_spectrum(samples)) @ _filters().T, FLOOR)).astype(np.float32)


def checked(sound: Sound) -> Sound:
    """`sound` itself. Raises Refusal as `log_mel` does."""
    if not isinstance(sound, Sound) or not isinstance(sound.samples, np.ndarray):
        raise Refusal(Problem("sound", type(sound).__name__, "is not a Sound with an array", "decode it first"))
    samples = sound.samples
    if not np.issubdtype(samples.dtype, np.floating):  # 16-bit integers would pass as a sound 90 dB too loud
        raise Refusal(Problem("sound", str(samples.dtype), "holds no floating point samples", "scale it to [-1, 1]"))
    if samples.ndim != 1 or not len(samples):
        raise Refusal(Problem("sound", samples.shape, "holds no mono samples", "mend or remove it"))
    if not np.isfinite(samples).all():
        raise Refusal(Problem("sound", None, "holds samples that are not numbers", "mend or remove it"))
    check_rate(sound.rate)
    return sound


def check_rate(rate: object) -> None:
    """Raises Refusal for what is no usable rate of samples a second."""
    if not isinstance(rate, int | np.integer) or not _LEAST_RATE <= rate <= _MOST_RATE:
        raise Refusal(Problem("sound", rate, "is no rate of samples a second", "mend or remove it"))


def at_rate(sound: Sound, wanted: int = RATE) -> np.ndarray:
    """float64 [N] at `wanted` samples a second. Raises Refusal as `log_mel` does."""
    samples = checked(sound).samples
    if sound.rate == wanted:
        return samples.astype(np.float64)
    common = math.gcd(sound.rate, wanted)
    return signal.resample_poly(samples.astype(np.float64), wanted // common, sound.rate // common)


def to_sound(mel: np.ndarray) -> Sound:
    """[T, M] -> T * HOP samples. The phase begins at random with a fixed seed, so equal frames sound equal."""
    if not len(mel):
        return Sound(np.zeros(0, np.float32), RATE)
    magnitude = _invert(np.exp(mel.astype(np.float64)))
    phase = np.exp(2j * np.pi * np.random.default_rng(0).random(magnitude.shape))
    before, now = np.zeros_like(phase), phase
    for _ in range(_PHASES):
        projected = _spectrum(_overlap_add(magnitude * now))
        now = projected + _MOMENTUM * (projected - before)
        now /= np.maximum(np.abs(now), 1e-12)
        before = projected
    samples = _overlap_add(magnitude * now)
    return Sound(np.clip(samples, -1, 1).astype(np.float32), RATE)


def _invert(mel: np.ndarray) -> np.ndarray:
    """Non-negative magnitudes [T, F] whose mel bands are `mel`, by multiplicative updates (Lee and Seung 2001)."""
    filters = _filters()
    magnitude = np.maximum(mel @ np.linalg.pinv(filters).T, 1e-6)
    wanted = mel @ filters
    for _ in range(_INVERSIONS):
        magnitude *= wanted / np.maximum(magnitude @ filters.T @ filters, 1e-12)
    return magnitude


def _spectrum(samples: np.ndarray) -> np.ndarray:
    """[N] -> complex [N / HOP, F], scaled so that a sine of amplitude 1 has magnitude about 1."""
    padded = np.pad(samples, (_PAD, WINDOW - HOP - _PAD))
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    return np.fft.rfft(frames * _window(), axis=1) / _scale()


def _overlap_add(spectrum: np.ndarray) -> np.ndarray:
    """The samples [T * HOP] whose spectrum is nearest to this one."""
    frames = np.fft.irfft(spectrum * _scale(), WINDOW, axis=1) * _window()
    count = len(frames)
    total = np.zeros((count - 1) * HOP + WINDOW)
    weight = np.zeros_like(total)
    for number, frame in enumerate(frames):
        total[number * HOP : number * HOP + WINDOW] += frame
        weight[number * HOP : number * HOP + WINDOW] += _window() ** 2
    return (total / np.maximum(weight, 1e-3))[_PAD : _PAD + count * HOP]


@functools.cache
def _window() -> np.ndarray:
    return np.hanning(WINDOW + 1)[:-1]


def _scale() -> float:
    return _window().sum() / 2


@functools.cache
def _filters() -> np.ndarray:
    """[M, F] triangles, equally spaced on the mel scale 2595 log10(1 + f / 700); each peaks at 1."""
    to_mel = lambda hertz: 2595 * np.log10(1 + np.asarray(hertz) / 700)  # noqa: E731
    edges = 700 * (10 ** (np.linspace(to_mel(LOWEST_HZ), to_mel(HIGHEST_HZ), BANDS + 2) / 2595) - 1)
    frequency = np.fft.rfftfreq(WINDOW, 1 / RATE)
    low, peak, high = (edges[i : i + BANDS, None] for i in range(3))
    triangles = np.minimum((frequency - low) / (peak - low), (high - frequency) / (high - peak))
    triangles = np.maximum(triangles, 0)
    # The lowest triangles are narrower than a frequency bin: each gets at least the bin that is nearest to its peak.
    nearest = np.argmin(np.abs(frequency - peak), axis=1)
    triangles[np.arange(BANDS), nearest] = np.maximum(triangles[np.arange(BANDS), nearest], 0.5)
    return triangles
