"""Pictures as picture codecs take them: squares of one size. Letters: B pictures, S side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from mdm.problems import Problem, Refusal


def squares(media: Sequence[np.ndarray], size: int) -> np.ndarray:
    """Pictures as uint8 [B, S, S, 3]: the longer side fits, the rest is white. Raises Refusal for what is no picture."""
    prepared = np.full((len(media), size, size, 3), 255, np.uint8)
    for number, picture in enumerate(media):
        height, width = checked(picture, f"picture {number}").shape[:2]
        scale = size / max(height, width)
        new = (max(1, round(height * scale)), max(1, round(width * scale)))
        resized = picture if new == (height, width) else _resize(picture, new)
        top, left = (size - new[0]) // 2, (size - new[1]) // 2
        prepared[number, top : top + new[0], left : left + new[1]] = resized
    return prepared


def checked(picture: np.ndarray, where: str = "picture") -> np.ndarray:
    """`picture` itself. Raises Refusal, naming `where`, for what is not uint8 [H, W, 3] or has no pixels."""
    good = isinstance(picture, np.ndarray) and picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3
    if not good or 0 in picture.shape:
        found = f"{getattr(picture, 'dtype', type(picture))} {getattr(picture, 'shape', '')}"
        raise Refusal(Problem(where, found, "is not uint8 [H, W, 3]", "decode it to RGB first"))
    return picture


def _resize(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.asarray(Image.fromarray(picture).resize(size[::-1], Image.Resampling.LANCZOS))


def psnr_db(wanted: np.ndarray, found: np.ndarray) -> float:
    """Mean over pictures, uint8 [B, S, S, 3], of the peak signal-to-noise ratio."""
    error = np.square(found - wanted.astype(np.float64)).mean(axis=(1, 2, 3))
    return float((10 * np.log10(255**2 / np.maximum(error, 1e-2))).mean())
