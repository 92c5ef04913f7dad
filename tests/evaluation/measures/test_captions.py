"""Captions against their originals, through sacrebleu."""

import pytest

from mdm.evaluation.measures.captions import CAPTIONS

pytest.importorskip("sacrebleu")

OWN = ["red apple", "a sleeping cat", "full moon", "two bicycles"]


def score(made):
    return CAPTIONS.score([{"text": text} for text in made], [{"text": text} for text in OWN])


def test_captions_against_themselves():
    chrf, same = score(OWN)
    assert chrf.value == 100 and same == (1, 0, 0)
    assert chrf.chance < 30


def test_case_and_space_are_no_difference_in_words():
    assert score(["Red  apple", *OWN[1:]])[1].value == 1


def test_known_edits():
    chrf, same = score(["red apples", "a sleeping cat", "full moon", ""])
    assert same.value == 0.5 and 60 < chrf.value < 80
    assert chrf.error > 0


def test_captions_that_ignore_the_picture_get_chance():
    chrf, same = score(OWN[1:] + OWN[:1])
    assert chrf.value < 30 and same.value == 0
    assert same.chance == pytest.approx(1 / 3)  # one of the three shifts sets them right
