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


def test_a_thin_stroke_is_seen():
    """Two of 512 pixels, over 8 x 8 codes: the codes that it crosses, and no more."""
    mask = np.zeros((512, 512, 3), np.uint8)
    mask[100:102, 30:200] = 255
    kept = outside(mask)((8, 8))
    assert (~kept).nonzero()[0].tolist() == [1] * 4 and (~kept).nonzero()[1].tolist() == [0, 1, 2, 3]
    mask[127:129, 300] = 255
    assert not outside(mask)((8, 8))[[1, 2], 4].any()
    small = np.zeros((2, 2, 3), np.uint8)
    small[0, 1] = 255  # a pixel over several codes
    assert np.array_equal(~outside(small)((6, 6)), np.kron([[0, 1], [0, 0]], np.ones((3, 3))).astype(bool))


def test_a_mask_of_other_proportions_is_refused():
    """Mask and picture are laid out each in its own square: the wrong part would be painted anew."""
    picture, task = np.zeros((64, 64, 3), np.uint8), TASKS["text-to-image"]
    for shape, good in (((128, 64), False), ((64, 64), True), ((128, 128), True), ((33, 32), True)):
        problems, mask = [], np.full((*shape, 3), 255, np.uint8)
        extent_of(task, {"text": "a", "image": picture}, "--", problems, mask=mask)
        assert not problems if good else "--mask = '128 x 64'" in str(problems[0]) and "64 x 64" in str(problems[0])


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
    extent_of(TASKS[task], dict.fromkeys(given), "--", problems, **asked)
    assert len(problems) == 1 and told in str(problems[0])


def test_lengths_go_by_their_targets():
    for length in ({"text": 3, "audio": 8}, "text=3,audio=8"):
        problems = []
        assert extent_of(TASKS["joint-audio-text"], {}, "", problems, length=length).lengths == {"text": 3, "audio": 8}
        assert not problems
    assert extent_of(TASKS["text-to-speech"], {"text": "a"}, "", [], length="8").lengths == {"audio": 8}
