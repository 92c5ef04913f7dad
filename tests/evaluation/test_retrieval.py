"""Retrieval of pictures: known answers, and what it does not depend on."""

import numpy as np

from mdm.evaluation import retrieval

RNG = np.random.default_rng(0)
PICTURES = [np.kron(RNG.integers(0, 256, (8, 8, 3)), np.ones((8, 8, 1))).astype(np.uint8) for _ in range(30)]


def test_a_picture_is_nearest_to_itself_and_chance_is_chance():
    assert not retrieval.ranks(PICTURES, PICTURES).any()
    others = retrieval.ranks(PICTURES[1:] + PICTURES[:1], PICTURES)
    assert (others > 0).all()
    strangers = [RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8) for _ in range(30)]
    assert (retrieval.ranks(strangers, PICTURES) == 0).mean() < 0.2


def test_small_changes_stay_nearest_whatever_the_size():
    darker = [(picture * 0.8).astype(np.uint8) for picture in PICTURES]
    larger = [np.kron(picture, np.ones((2, 2, 1), np.uint8)) for picture in PICTURES]
    assert (retrieval.ranks(darker, PICTURES) == 0).mean() > 0.9
    assert not retrieval.ranks(larger, PICTURES).any()


def test_a_flat_picture_has_finite_features():
    assert np.isfinite(retrieval.features(np.zeros((64, 64, 3), np.uint8))).all()
