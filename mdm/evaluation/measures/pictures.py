"""Made pictures: do they show what their caption says, do they look like pictures of the set. Nothing here needs a download."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from mdm.evaluation import retrieval
from mdm.evaluation.measures import distances
from mdm.evaluation.measures.measure import (
    ALIKE,
    MORE,
    Counts,
    Documents,
    Figure,
    Measure,
    Score,
    against_own,
)

_SIDE = 32  # pixels to which pictures are averaged: originals are larger than what codecs give back
_LEVELS = 4  # of each colour of a histogram
_TEN = 10

_OWN = (
    Figure("own picture is nearest", "%", MORE),
    Figure("own picture is one of the nearest ten", "%", MORE),
    Figure("colours in common with the own", "%", MORE),
    Figure("edges in common with the own", "%", MORE),
)
_LOOKS = (Figure("colourfulness", "", ALIKE), Figure("sharpness", "", ALIKE))


def features(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """float32 [N, 576]: those of `retrieval`, scaled to a mean square of about 1."""
    own = np.stack([retrieval.features(picture) for picture in pictures])
    return own * np.sqrt(own.shape[1]).astype(np.float32)


COLOURS_AND_EDGES = distances.Extractor("8 x 8 colours and edges", features)


def _own_score(made: Documents, originals: Documents) -> list[Score]:
    a, b = ([media["image"] for media in group] for group in (made, originals))
    nearer, ones = retrieval.ranks(a, b), np.ones(len(a))
    found = [Counts((nearer < most) * 1.0, ones).score(min(1.0, most / len(a))) for most in (1, _TEN)]
    return [*found, against_own(_colours, made, originals), against_own(_edges, made, originals)]


def _looks_score(made: Documents, originals: Documents) -> list[Score]:
    pictures, ones = [_small(media["image"]) for media in made], np.ones(len(made))
    return [Counts(np.array([figure(own) for own in pictures]), ones).score() for figure in (colourfulness, sharpness)]


def _colours(made: Documents, originals: Documents) -> Counts:
    """Share of the pixels that have a partner of the same colour in the other picture (histogram intersection)."""
    a, b = (np.stack([_histogram(_small(media["image"])) for media in group]) for group in (made, originals))
    return Counts(np.minimum(a, b).sum(axis=1), np.ones(len(a)))


def _edges(made: Documents, originals: Documents) -> Counts:
    """Cosine between edge orientations, cell by cell; 0 where one of both has no edge."""
    a, b = (np.stack([retrieval.edges(media["image"]) for media in group]) for group in (made, originals))
    return Counts((a * b).sum(axis=1).astype(np.float64), np.ones(len(a)))


def colourfulness(picture: np.ndarray) -> float:
    """Of float [H, W, 3] from 0 to 255: 0 for greys, about 60 for what people call quite colourful (Hasler, Suesstrunk 2003)."""
    red, green, blue = picture.reshape(-1, 3).T
    opponents = np.stack([red - green, (red + green) / 2 - blue])
    return float(np.linalg.norm(opponents.std(axis=1)) + 0.3 * np.linalg.norm(opponents.mean(axis=1)))


def sharpness(picture: np.ndarray) -> float:
    """Mean length of the gradient of the brightness of float [H, W, 3], a pixel; blurred pictures have little, noise much."""
    return float(np.hypot(*np.gradient(picture.mean(axis=2))).mean())


def _small(picture: np.ndarray) -> np.ndarray:
    """float32 [_SIDE, _SIDE, 3]."""
    return np.asarray(Image.fromarray(picture).resize((_SIDE, _SIDE), Image.Resampling.BOX), np.float32)


def _histogram(picture: np.ndarray) -> np.ndarray:
    """Shares of the pixels, float64 [_LEVELS ** 3]."""
    levels = (picture * (_LEVELS / 256)).astype(int).reshape(-1, 3) @ (_LEVELS**2, _LEVELS, 1)
    return np.bincount(levels, minlength=_LEVELS**3) / len(levels)


OWN_PICTURE = Measure("pictures of captions", ("text-to-image",), "image", _OWN, _own_score)
LOOKS = Measure("looks of pictures", ("text-to-image", "joint-image-text"), "image", _LOOKS, _looks_score)
PICTURE_DISTANCES = distances.measure(COLOURS_AND_EDGES, "image", ("text-to-image", "joint-image-text"))
