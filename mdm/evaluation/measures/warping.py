"""How alike two recordings are when one may be spoken slower than the other: dynamic time warping of cepstra.

No recogniser: the same words in the same or a similar voice lie near each other (Sakoe and Chiba 1978).

Letters: N, M sounds, T frames, C cepstra.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import fft
from scipy.spatial.distance import cdist

from mdm.codecs import mel
from mdm.codecs.codec import Sound

_FRAMES = 4  # of 20 ms that are averaged: about a phone; it makes all pairs of a hundred sounds a matter of seconds
_CEPSTRA = slice(1, 13)  # without the zeroth, the level


def distances(made: Sequence[Sound], own: Sequence[Sound]) -> np.ndarray:
    """float64 [N, M]: mean distance along the best path between each two sounds."""
    others = [cepstra(sound) for sound in own]
    lengths = np.array([len(frames) for frames in others])
    padded = np.zeros((len(others), lengths.max(), others[0].shape[1]))
    for row, frames in zip(padded, others, strict=True):
        row[: len(frames)] = frames
    return np.stack([_warped(cepstra(sound), padded, lengths) for sound in made])


def cepstra(sound: Sound) -> np.ndarray:
    """float64 [T, C], 12.5 a second, without their mean over time: what voice and microphone add to all frames."""
    frames = mel.log_mel(sound).astype(np.float64)
    frames = np.pad(frames, ((0, -len(frames) % _FRAMES), (0, 0)), mode="edge")
    found = fft.dct(frames.reshape(-1, _FRAMES, frames.shape[1]).mean(axis=1), norm="ortho")[:, _CEPSTRA]
    return found - found.mean(axis=0)


def _warped(frames: np.ndarray, others: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """[T, C] against [M, T', C] of these lengths -> [M]. A step goes one frame on in one of both, or in both.

    Along a row of the table, best[j] = min over k <= j of (entered[k] + cost[k] + ... + cost[j]): with running sums a minimum
    over k alone, so that a row is a few operations on [M, T'].
    """
    count, longest, _ = others.shape
    costs = cdist(frames, others.reshape(count * longest, -1)).reshape(len(frames), count, longest)
    best = np.full((count, longest), np.inf)
    for number, cost in enumerate(costs):
        before = np.concatenate([np.full((count, 1), 0.0 if number == 0 else np.inf), best[:, :-1]], axis=1)
        entered = np.minimum(best, before)
        sums = cost.cumsum(axis=1)
        best = sums + np.minimum.accumulate(entered - sums + cost, axis=1)
    return best[np.arange(count), lengths - 1] / (len(frames) + lengths)
