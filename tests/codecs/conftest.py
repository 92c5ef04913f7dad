"""Media to fit codecs on in seconds: coloured shapes, and sums of sines."""

import numpy as np
import pytest

from mdm.codecs.codec import Sound


def pictures(count: int, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:32, :32]
    made = []
    for _ in range(count):
        picture = np.full((32, 32, 3), 255, np.uint8)
        cx, cy, r = rng.integers(8, 24), rng.integers(8, 24), rng.integers(4, 12)
        inside = (x - cx) ** 2 + (y - cy) ** 2 < r * r if rng.random() < 0.5 else (abs(x - cx) < r) & (abs(y - cy) < r)
        picture[inside] = rng.integers(0, 255, 3)
        made.append(picture)
    return made


def sounds(count: int, seed: int = 0) -> list[Sound]:
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        t = np.arange(rng.integers(4_000, 24_000)) / 16_000
        tones = sum(
            a * np.sin(2 * np.pi * f * t)
            for a, f in zip(rng.uniform(0, 0.2, 4), rng.uniform(100, 4000, 4), strict=True)
        )
        made.append(Sound((tones * np.hanning(len(t))).astype(np.float32), 16_000))
    return made


def quiet(step: int, steps: int, figures: dict[str, float]) -> None:
    """A progress report that nobody reads."""


@pytest.fixture(scope="session")
def report():
    return quiet
