"""What is kept of a given target, and how far it goes."""

import numpy as np
import pytest

from mdm.data.extents import extent_of, outside, parts
from mdm.tokens.tasks import TASKS


def test_parts_are_shares_of_any_shape():
    assert parts("0:0.5")((4,)).tolist() == [True, True, False, False]
    assert parts("0:0.25,0.75:1")((4, 2)).tolist() == [[True] * 2, [False] * 2, [False] * 2, [True] * 2]
    left = parts("0:1x0:0.5")((2, 4))
    assert left.tolist() == [[True, True, False, False]] * 2
    around = parts("0:0.25,0.75:1,0:1x0:0.25,0:1x0.75:1")((4, 4))
    np.testing.assert_array_equal(~around, np.pad(np.ones((2, 2), bool), 1))


@pytest.mark.parametrize("text", ["", "0.5", "0.5:0.2", "0:2", "0:nan", "0:1,", "0:1x", "0:1x0:1x0:1", "a:b"])
def test_what_is_no_part_is_none(text):
    assert parts(text) is None


def test_a_code_with_a_bright_pixel_is_made_anew():
    mask = np.zeros((8, 8, 3), np.uint8)
    mask[3, 4] = 255
    kept = outside(mask)((4, 4))
    assert not kept[1, 2] and kept.sum() >= 12 and kept[0, 0] and kept[3, 3]
    assert outside(np.zeros((8, 8, 3), np.uint8))((4, 4)).all()
    assert not outside(np.full((8, 8, 3), 255, np.uint8))((4, 4)).any()


def test_a_mask_lies_as_its_picture_does():
    """A wide picture stands in the middle of a square; above and below it nothing is made anew."""
    kept = outside(np.full((4, 8, 3), 255, np.uint8))((4, 4))
    assert kept.all(axis=1).tolist() == [True, False, False, True]


@pytest.mark.parametrize(
    ("task", "given", "asked", "told"),
    [
        ("text-to-image", ("text",), {"length": 3}, "has one size"),
        ("joint-audio-text", (), {"length": 3}, "name them: text=3,audio=3"),
        ("joint-audio-text", (), {"length": {"text": 3, "image": 1}}, "is out of range"),
        ("joint-audio-text", (), {"length": "text=3,audio=x"}, "is out of range"),
        ("text", (), {"length": True}, "is out of range"),
        ("text", ("text",), {"length": 3, "more": 2}, "has its length"),
        ("text", ("text",), {}, "which text is to make"),
        ("text", (), {"more": 2}, "goes with one given target"),
        ("joint-audio-text", ("text", "audio"), {"more": 2}, "goes with one given target"),
        ("text-to-image", ("text", "image"), {"more": 2}, "goes with one given target"),
        ("text", ("text",), {"keep": "0:1x0:1"}, "has columns"),
        ("text", ("text",), {"mask": np.full((2, 2, 3), 255, np.uint8)}, "no picture is given"),
        ("text-to-image", ("text", "image"), {"keep": "0:1", "mask": np.zeros((2, 2, 3))}, "give one of them"),
    ],
)
def test_what_cannot_be_meant_is_told(task, given, asked, told):
    problems = []
    extent_of(TASKS[task], given, "--", problems, **asked)
    assert len(problems) == 1 and told in str(problems[0])


def test_lengths_go_by_their_targets():
    for length in ({"text": 3, "audio": 8}, "text=3,audio=8"):
        problems = []
        assert extent_of(TASKS["joint-audio-text"], (), "", problems, length=length).lengths == {"text": 3, "audio": 8}
        assert not problems
    assert extent_of(TASKS["text-to-speech"], ("text",), "", [], length="8").lengths == {"audio": 8}
