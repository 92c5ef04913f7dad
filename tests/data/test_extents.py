"""What is kept of a given target, and how far it goes."""

import numpy as np
import pytest

from mdm.data.extents import WHOLE, Extent, extent_of, known_codes
from mdm.data.regions import parts
from mdm.problems import Refusal
from mdm.tokens.tasks import TASKS


def test_a_mask_of_other_proportions_is_refused():
    """Mask and picture are laid out each in its own square: the wrong part would be painted anew."""
    picture, task = np.zeros((64, 64, 3), np.uint8), TASKS["text-to-image"]
    for shape, good in (((128, 64), False), ((64, 64), True), ((128, 128), True), ((33, 32), True)):
        problems, mask = [], np.full((*shape, 3), 255, np.uint8)
        extent_of(task, {"text": "a", "image": picture}, "--", problems, mask=mask)
        assert not problems if good else "--mask = '128 x 64'" in str(problems[0]) and "64 x 64" in str(problems[0])


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
        ("text", ("text",), {"keep": 3}, "--keep = 3: is not START:STOP"),
        ("text", ("text",), {"keep": [0, 0.5]}, "--keep = [0, 0.5]: is not START:STOP"),
        ("text-to-image", ("text", "image"), {"mask": "m.png"}, "--mask = 'm.png': is no array"),
        ("text-to-image", ("text", "image"), {"mask": np.ones((2, 2), bool)}, "--image = \"<class 'NoneType'>"),
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


TASK = TASKS["text-to-image"]
CODES = {"text": np.zeros(3, np.int32), "image": np.zeros((8, 8), np.int32)}


def known(keep, height, width):
    problems = []
    given = {"text": "a", "image": np.zeros((height, width, 3), np.uint8)}
    extent = extent_of(TASK, given, "", problems, keep=keep)
    assert not problems
    return known_codes(extent, CODES, TASK.targets)[1]["image"]


def test_shares_of_a_picture_are_of_the_picture_itself():
    """A wide one fills the rows 2 to 5 of 8: its upper half ends in the middle of them, as the half of a square one does."""
    assert known("0:0.5", 32, 64).all(axis=1).tolist() == [True, True, True, True, False, False, True, True]
    assert known("0:0.5", 64, 64).all(axis=1).tolist() == [True] * 4 + [False] * 4
    assert known("0:1x0:0.25", 32, 64).tolist() == [[True] * 8] * 2 + [[True] * 2 + [False] * 6] * 4 + [[True] * 8] * 2
    assert known("0:1x0.5:1", 64, 32).all(axis=0).tolist() == [True, True, False, False, True, True, True, True]


@pytest.mark.parametrize(("height", "width"), [(64, 64), (32, 64), (90, 20)])
@pytest.mark.parametrize(("keep", "told"), [("0:0.001", "keep = '0:0.001': keeps none of its 8 x 8 codes"),
                                            ("0:1", "leaves nothing to make of image"), ("0:1x0:1", "leaves nothing"),
                                            ("0:0.5,0.5:1", "leaves nothing to make")])  # fmt: skip
def test_what_keeps_nothing_or_all_is_refused(keep, told, height, width):
    with pytest.raises(Refusal, match=told):
        known(keep, height, width)


def test_all_of_a_target_may_be_kept_if_something_else_is_made():
    codes, own = known_codes(Extent(kept={"text": parts("0:1")}, more={"text": 2}), {"text": np.arange(3)}, ("text",))
    assert own["text"].tolist() == [True] * 3 + [False] * 2 and codes["text"].tolist() == [0, 1, 2, 0, 0]
    joint = Extent(kept={"image": parts("0:1")})
    assert known_codes(joint, {"image": CODES["image"]}, ("text", "image"))[1]["image"].all()
    assert known_codes(WHOLE, CODES, ("image",))[1] == {}
