"""Lettering: text on pictures, wrapped to a width.

DejaVu Sans where the system or matplotlib has it; otherwise the font inside Pillow, which has hardly more than ASCII.
"""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path

from PIL import ImageFont

ELLIPSIS = "..."


@functools.cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """The font, at `size` pixels."""
    for path in _candidates():
        try:
            return ImageFont.truetype(path, size)
        except OSError:
            continue
    return ImageFont.load_default(size)


def wrap(text: str, own: ImageFont.FreeTypeFont, width: int, most: int) -> list[str]:
    """`text` in at most `most` lines of at most `width` pixels, cut off with an ellipsis if they do not hold it."""
    lines: list[str] = []
    for word in text.split():
        if lines and own.getlength(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
            continue
        while own.getlength(word) > width:  # no line holds it
            fits = max(1, next(n for n in range(1, len(word) + 1) if own.getlength(word[:n]) > width) - 1)
            lines.append(word[:fits])
            word = word[fits:]
            if len(lines) > most or not word:
                break
        if word:
            lines.append(word)
        if len(lines) > most:
            break
    if len(lines) <= most:
        return lines
    last = lines[most - 1]
    while last and own.getlength(last + ELLIPSIS) > width:
        last = last[:-1]
    return [*lines[: most - 1], last + ELLIPSIS]


def _candidates() -> list[str]:
    name = "DejaVuSans.ttf"
    matplotlib = importlib.util.find_spec("matplotlib")
    own = [Path(matplotlib.origin).parent / "mpl-data" / "fonts" / "ttf" / name] if matplotlib else []
    return [name, *map(str, own)]
