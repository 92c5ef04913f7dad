"""Contact sheets, and the lettering on them."""

import numpy as np
import pytest

from mdm.evaluation import lettering, sheet
from mdm.evaluation.sheet import Picture, contact_sheet

RED = np.full((32, 32, 3), (200, 0, 0), np.uint8)


def pictures(n, caption="a red square"):
    return [Picture(RED, caption, f"seed {i}") for i in range(n)]


@pytest.mark.parametrize(("n", "columns", "rows"), [(1, 1, 1), (3, 3, 1), (5, 4, 2), (16, 4, 4), (20, 5, 4)])
def test_every_picture_is_on_it_whole(n, columns, rows):
    whole = np.asarray(contact_sheet(pictures(n)))
    red = (whole == RED[0, 0]).all(axis=2)
    assert red.sum() == n * sheet.SIDE**2  # 32 pixels six times as large
    place = sheet.SIDE + 14
    assert round(whole.shape[1] / place) == columns
    assert (np.diff(red.any(axis=1).astype(int)) == 1).sum() == rows


def test_large_and_oblong_pictures_fit():
    whole = np.asarray(contact_sheet([Picture(np.full((500, 1000, 3), (0, 0, 200), np.uint8), "", "")]))
    blue = (whole == (0, 0, 200)).all(axis=2)
    assert blue.any(axis=0).sum() == sheet.SIDE and blue.any(axis=1).sum() == sheet.SIDE // 2


def test_captions_are_drawn_below_their_picture():
    one, long = (np.asarray(contact_sheet(pictures(1, text))) for text in ("apple", "apple " * 20))
    assert len(long) > len(one)  # more lines
    assert (long[sheet.SIDE + 20 :] < 100).all(axis=2).any()
    assert (one[sheet.SIDE + 20 :] < 100).all(axis=2).any()


@pytest.mark.parametrize("text", ["one two three four", "w" * 300, "a " + "w" * 60 + " b", "", "  \n ", "日本 " * 40])
def test_lines_are_no_wider_than_asked_and_hold_the_text_or_say_that_they_do_not(text):
    own = lettering.font(14)
    for most in (1, 2, 50):
        lines = lettering.wrap(text, own, 100, most)
        assert len(lines) <= most and all(own.getlength(line) <= 100 for line in lines)
        assert "".join("".join(lines).split()) == "".join(text.split()) or lines[-1].endswith(lettering.ELLIPSIS)


def test_a_text_that_fits_is_not_cut():
    assert lettering.wrap("one two three four", lettering.font(14), 70, 9)[-1].endswith("four")
