"""Which codes of a target are kept: shares of it, or what a mask leaves."""

import numpy as np
import pytest

from mdm.data.regions import bright, outside, parts
from mdm.problems import Refusal


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


def test_a_mask_lies_as_its_picture_does():
    """A wide picture stands in the middle of a square; above and below it nothing is made anew."""
    kept = outside(np.full((4, 8, 3), 255, np.uint8))((4, 4))
    assert kept.all(axis=1).tolist() == [True, False, False, True]


LIT = np.array([[True, False], [False, False], [False, True]])
GREY = np.where(LIT, 255, 0).astype(np.uint8)


@pytest.mark.parametrize("mask", [LIT, LIT[..., None], GREY, np.repeat(GREY[..., None], 3, axis=2), GREY / 255,
                                  LIT.astype(np.float32), np.repeat(LIT[..., None], 3, axis=2) * 0.5])  # fmt: skip
def test_masks_of_every_natural_form(mask):
    np.testing.assert_array_equal(bright(mask), LIT)
    np.testing.assert_array_equal(outside(mask)((3, 3)), outside(LIT)((3, 3)))


@pytest.mark.parametrize(
    ("mask", "told"),
    [
        ("m.png", "mask = 'm.png': is no array"),
        ([[0, 1]], "mask = 'list': is no array"),
        (np.zeros(4, bool), "has not the shape of a picture"),
        (np.zeros((2, 2, 4), np.uint8), "has not the shape of a picture"),
        (np.zeros((0, 2), bool), "has not the shape of a picture"),
        (np.zeros((2, 2), int), "mask = 'int64': is of a type"),
        (np.full((2, 2), 2.0), "outside of 0 to 1"),
        (np.full((2, 2), np.nan), "outside of 0 to 1"),
    ],
)
def test_other_masks_are_refused(mask, told):
    with pytest.raises(Refusal, match=told):
        bright(mask)
