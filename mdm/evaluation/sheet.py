"""A contact sheet: many pictures in one, each with its caption."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from mdm.evaluation import lettering

SIDE = 192  # pixels that a picture gets
MOST = 256  # pictures of a sheet: 16 by 16 are about 3,300 pixels wide
_MARGIN, _SIZE, _LINES = 14, 14, 4
_INK, _SOFT, _PAPER = "#1d1d1b", "#77776f", "#ffffff"


class Picture(NamedTuple):
    """pixels: uint8 [H, W, 3]; note: in grey below the caption."""

    pixels: np.ndarray
    caption: str
    note: str


def contact_sheet(pictures: Sequence[Picture]) -> Image.Image:
    """At most `MOST` pictures in rows as long as there are rows, but of four at least; captions in at most four lines."""
    columns = min(len(pictures), max(4, int(np.ceil(np.sqrt(len(pictures))))))
    own, small = lettering.font(_SIZE), lettering.font(_SIZE - 2)
    captions = [lettering.wrap(picture.caption, own, SIDE, _LINES) for picture in pictures]
    rows = [range(start, min(start + columns, len(pictures))) for start in range(0, len(pictures), columns)]
    line = _SIZE + 4
    heights = [SIDE + 6 + line * (max(len(captions[n]) for n in row) + 1) + _MARGIN for row in rows]
    sheet = Image.new("RGB", (columns * (SIDE + _MARGIN) + _MARGIN, sum(heights) + _MARGIN), _PAPER)
    draw = ImageDraw.Draw(sheet)
    top = _MARGIN
    for row, height in zip(rows, heights, strict=True):
        for column, number in enumerate(row):
            left = _MARGIN + column * (SIDE + _MARGIN)
            shown = Image.fromarray(enlarged(pictures[number].pixels, SIDE))
            shown.thumbnail((SIDE, SIDE))
            sheet.paste(shown, (left + (SIDE - shown.width) // 2, top + (SIDE - shown.height) // 2))
            draw.rectangle((left - 1, top - 1, left + SIDE, top + SIDE), outline="#d9d9d4")
            below = top + SIDE + 6
            for text in captions[number]:
                draw.text((left, below), text, fill=_INK, font=own)
                below += line
            draw.text((left, below), pictures[number].note, fill=_SOFT, font=small)
        top += height
    return sheet


def enlarged(pixels: np.ndarray, side: int) -> np.ndarray:
    """Every pixel of [H, W, ...] as a square of n by n: the largest picture whose longer side is at most `side`, n >= 1."""
    times = max(1, side // max(pixels.shape[:2]))
    return pixels.repeat(times, axis=0).repeat(times, axis=1)
