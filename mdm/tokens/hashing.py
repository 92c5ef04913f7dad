"""Integers that look random and are a pure function of integers: order, tasks and tails need no state and no seek."""

from __future__ import annotations

import zlib

import numpy as np

_GOLDEN, _MULTIPLY_1, _MULTIPLY_2 = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_WORD = 0xFFFFFFFFFFFFFFFF


def mix(*parts: int | np.ndarray, state: int | np.ndarray = 0) -> np.ndarray:
    """A 64-bit hash of the integers `parts` (broadcast against each other), by rounds of SplitMix64 (Steele et al. 2014).

    state: a hash to go on from: mix(a, b) is mix(b, state=mix(a)).
    """
    for part in parts:
        # Scalars as Python's integers: NumPy's take several times as long, and those are most of a key.
        if np.ndim(part) == 0 and np.ndim(state) == 0:
            word = ((int(state) ^ int(part) & _WORD) + _GOLDEN) & _WORD  # a negative or huge seed is as good as any
            word = (word ^ word >> 30) * _MULTIPLY_1 & _WORD
            word = (word ^ word >> 27) * _MULTIPLY_2 & _WORD
            state = word ^ word >> 31
        else:
            state = (_words(state) ^ _words(part)) + np.uint64(_GOLDEN)
            state = (state ^ state >> np.uint64(30)) * np.uint64(_MULTIPLY_1)
            state = (state ^ state >> np.uint64(27)) * np.uint64(_MULTIPLY_2)
            state = state ^ state >> np.uint64(31)
    return np.uint64(state) if np.ndim(state) == 0 else state


def _words(part: int | np.ndarray) -> np.ndarray:
    return np.uint64(int(part) & _WORD) if np.ndim(part) == 0 else part.astype(np.uint64)


def uniform(*parts: int | np.ndarray) -> np.ndarray:
    """float64 in [0, 1) from the top 53 bits of `mix(*parts)`."""
    return (mix(*parts) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def text_key(text: str) -> int:
    """A 32-bit integer for a name, to be mixed with others (zlib's CRC: stable across processes, unlike `hash`)."""
    return zlib.crc32(text.encode())
