"""Warping against the plain recursion, and against recordings that were slowed down."""

import numpy as np
import pytest

from mdm.codecs.codec import Sound
from mdm.data import media, samples
from mdm.evaluation.measures import warping

RNG = np.random.default_rng(0)


def plain(a, b):
    table = np.full((len(a) + 1, len(b) + 1), np.inf)
    table[0, 0] = 0
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            table[i + 1, j + 1] = np.linalg.norm(x - y) + min(table[i, j], table[i, j + 1], table[i + 1, j])
    return table[-1, -1] / (len(a) + len(b))


def test_the_row_at_a_time_form_is_the_plain_recursion():
    frames = RNG.normal(size=(7, 3))
    others = [RNG.normal(size=(n, 3)) for n in (1, 5, 9)]
    padded = np.zeros((3, 9, 3))
    for row, own in zip(padded, others, strict=True):
        row[: len(own)] = own
    found = warping._warped(frames, padded, np.array([1, 5, 9]))
    np.testing.assert_allclose(found, [plain(frames, own) for own in others], rtol=1e-12)


def test_a_slower_and_quieter_recording_is_nearest_to_its_own():
    speech = samples.directory() / "speech"
    own = [media.read_sound(speech / f"{n:03d}-slt.ogg") for n in range(8)]
    apart = warping.distances(own, own)
    assert np.diagonal(apart) == pytest.approx(0, abs=1e-9)
    slower = [Sound(sound.samples * 0.5, int(sound.rate / 1.15)) for sound in own]
    assert (warping.distances(slower, own).argmin(axis=1) == np.arange(8)).all()


def test_a_sound_of_one_frame():
    short, long = Sound(np.ones(10, np.float32), 16_000), Sound(RNG.normal(size=5000).astype(np.float32) / 9, 16_000)
    assert np.isfinite(warping.distances([short, long], [long, short])).all()
