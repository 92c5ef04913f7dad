"""Is a painted picture nearest to its own caption's picture, among all the pictures of a set?

The feature space needs no download: 8 x 8 mean colours, and 8 x 8 histograms of edge orientation. Calibrated on 500 emoji
that two vendors drew independently: given one vendor's drawing, the other's of the same emoji is nearest among 100 in 64 %
(colours alone 49 %, edges alone 53 %, chance 1 %).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

_GRID, _SIDE, _ORIENTATIONS = 8, 32, 6


def features(picture: np.ndarray) -> np.ndarray:
    """uint8 [rows, columns, 3] -> float32 [576]; colours weigh about as much as edges."""
    image = Image.fromarray(picture)
    colours = np.asarray(image.resize((_GRID, _GRID), Image.Resampling.BOX), np.float32).ravel() / 255 / _GRID
    return np.concatenate([colours, edges(picture)])


def edges(picture: np.ndarray) -> np.ndarray:
    """Histograms of edge orientation alone, float32 [384], of length 1; of length 0 for a flat picture."""
    image = Image.fromarray(picture).resize((_SIDE, _SIDE), Image.Resampling.BOX)
    found = np.sqrt(_orientations(np.asarray(image, np.float32) / 255)).ravel()
    return found / max(float(np.linalg.norm(found)), 1e-6)


def _orientations(image: np.ndarray) -> np.ndarray:
    """[_SIDE, _SIDE, 3] -> gradient magnitude [_GRID, _GRID, _ORIENTATIONS], of the strongest channel, shared linearly
    between the two nearest orientations."""
    down, right = np.gradient(image, axis=(0, 1))
    strongest = (down**2 + right**2).argmax(axis=2, keepdims=True)
    down, right = (np.take_along_axis(g, strongest, 2)[..., 0] for g in (down, right))
    magnitude, angle = np.hypot(down, right), np.arctan2(down, right) % np.pi / np.pi * _ORIENTATIONS
    lower = np.floor(angle).astype(int)
    rows, columns = np.indices(magnitude.shape) * _GRID // _SIDE
    cells = np.zeros((_GRID, _GRID, _ORIENTATIONS), np.float32)
    for bin_, share in ((lower, 1 - (angle - lower)), (lower + 1, angle - lower)):
        np.add.at(cells, (rows, columns, bin_ % _ORIENTATIONS), magnitude * share)
    return cells


def ranks(made: Sequence[np.ndarray], own: Sequence[np.ndarray]) -> np.ndarray:
    """int64 [N]: how many of the N pictures of `own` are nearer to made[n] than own[n] is; 0 is nearest."""
    apart = distances(made, own)
    return (apart < np.diagonal(apart)[:, None]).sum(axis=1)


def distances(made: Sequence[np.ndarray], own: Sequence[np.ndarray]) -> np.ndarray:
    """Squared distances of features, float32 [N, M]."""
    a, b = (np.stack([features(picture) for picture in pictures]) for pictures in (made, own))
    return np.square(a[:, None] - b[None]).sum(axis=-1)
