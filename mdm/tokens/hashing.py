"""Integers that look random and are a pure function of integers: order, tasks and tails need no state and no seek."""

from __future__ import annotations

import zlib

import numpy as np

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MULTIPLY_1 = np.uint64(0xBF58476D1CE4E5B9)
_MULTIPLY_2 = np.uint64(0x94D049BB133111EB)


def mix(*parts: int | np.ndarray) -> np.ndarray:
    """A 64-bit hash of the integers `parts` (broadcast against each other), by rounds of SplitMix64 (Steele et al. 2014)."""
    with np.errstate(over="ignore"):
        state = np.uint64(0)
        for part in parts:
            if isinstance(part, int):
                part = part & 0xFFFFFFFFFFFFFFFF  # a negative or huge seed is as good as any
            state = (state ^ np.asarray(part).astype(np.uint64)) + _GOLDEN
            state = (state ^ (state >> np.uint64(30))) * _MULTIPLY_1
            state = (state ^ (state >> np.uint64(27))) * _MULTIPLY_2
            state = state ^ (state >> np.uint64(31))
    return state


def uniform(*parts: int | np.ndarray) -> np.ndarray:
    """float64 in [0, 1) from the top 53 bits of `mix(*parts)`."""
    return (mix(*parts) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def text_key(text: str) -> int:
    """A 32-bit integer for a name, to be mixed with others (zlib's CRC: stable across processes, unlike `hash`)."""
    return zlib.crc32(text.encode())
