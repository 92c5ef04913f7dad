"""Unmasking shown: how a sample came out of its masks, as an animated GIF.

What a sampler tells of each position is when it was last written (`mdm.sampling.sampler.Written`), so a frame shows the
finished sample as far as it stood by then; the rest is grey. Pictures uncover on the grid of their codec, sounds as the
columns of a spectrogram (paler grey while only some codebooks are there), texts token by token in their final place. Under
remasking a position stays grey until what stands there in the end was written: earlier attempts are not shown. Nothing is
decoded but the finished sample.

Letters: R rows, C columns, K codebooks, G frames of an audio codec, H and W pixels.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw

from mdm.codecs import mel
from mdm.codecs.codec import Media, Sound
from mdm.evaluation import lettering
from mdm.evaluation.sheet import enlarged
from mdm.tokens.rows import Document

MOST_FRAMES = 48
MOST_PIXELS = 40_000_000  # of all frames together
SIDE = 256  # pixels of a picture
_GREY, _LINE, _INK = 176, 188, 29  # of what is masked, between its cells, and of letters
_WIDTH, _SIZE, _MARGIN = 520, 16, 14  # of a page of text; a spectrogram is at most as wide, if it can
_SECONDS, _LAST = 4.0, 2500  # for all frames but the last; milliseconds of that one
_RANGE_DB = 60.0  # of a spectrogram


def animations(
    media: Mapping[str, Media],
    codes: Document,
    turns: Document,
    decode: Callable[[Document], Mapping[str, Media]],
) -> dict[str, bytes]:
    """A GIF of each medium of a sample, by modality; none of an empty one.

    turns:  when each code was written, in the shapes of the codes
    decode: codes -> media
    """
    moments, found = moments_of(turns.values()), {}
    for modality, own in media.items():
        if not turns[modality].size:
            continue
        if isinstance(own, str):
            text = lambda some, m=modality: decode({m: some})[m]  # noqa: E731
            found[modality] = of_text(codes[modality], turns[modality], moments, text)
        else:
            draw = of_sound if isinstance(own, Sound) else of_picture
            found[modality] = draw(own, turns[modality], moments)
    return found


def of_picture(pixels: np.ndarray, turns: np.ndarray, moments: Sequence[int]) -> bytes:
    """uint8 [H, W, 3] and int [R, C]; moments: see `moments_of`."""
    large = enlarged(pixels, SIDE)
    own = Image.fromarray(large).quantize(254, dither=Image.Dither.NONE)
    palette = (own.getpalette() + 768 * [0])[: 3 * 254] + 3 * [_GREY] + 3 * [_LINE]
    cells, line = _cells(large.shape[:2], turns.shape)
    covered, final = np.where(line, 255, 254).astype(np.uint8), np.asarray(own)

    def frame(moment: int) -> Image.Image:
        shown = Image.fromarray(np.where(turns.reshape(-1)[cells] > moment, covered, final), "P")
        shown.putpalette(palette)
        return shown

    return _gif([frame(moment) for moment in _fewer(moments, final.size)])


def of_sound(sound: Sound, turns: np.ndarray, moments: Sequence[int]) -> bytes:
    """A sound of at least one sample, and int [G, K]."""
    level = mel.log_mel(sound).T[::-1] * mel.DECIBEL
    ink = np.clip(1 + (level - level.max()) / _RANGE_DB, 0, 1)
    final = (255 * (1 - ink)).astype(np.uint8).repeat(2, axis=0)
    final = final.repeat(max(1, _WIDTH // final.shape[1]), axis=1)
    cells, line = _cells(final.shape, (1, len(turns)))
    covered = np.where(line, _LINE, _GREY)

    def frame(moment: int) -> Image.Image:
        missing = (turns > moment).mean(axis=1)[cells]
        return Image.fromarray((missing * covered + (1 - missing) * final).astype(np.uint8))

    return _gif([frame(moment) for moment in _fewer(moments, final.size)])


def of_text(codes: np.ndarray, turns: np.ndarray, moments: Sequence[int], decode: Callable[[np.ndarray], str]) -> bytes:
    """int [n] each; decode: codes -> text."""
    placed, height = _placed(_pieces(codes, turns, decode))
    own, moments = lettering.font(_SIZE), _fewer(moments, _WIDTH * height)
    page = Image.new("L", (_WIDTH, height), 255)
    draw, frames = ImageDraw.Draw(page), []

    def box(left: float, top: int, width: float, shade: int) -> None:
        if width > 2:
            draw.rounded_rectangle((left, top + 2, left + width - 2, top + _SIZE + 2), 3, fill=shade)

    for left, top, width, _, _ in placed:
        box(left, top, width, _GREY)
    for before, moment in zip([moments[0] - 1, *moments], moments, strict=False):
        for left, top, width, text, turn in placed:
            if before < turn <= moment:
                box(left, top, width, 255)
                draw.text((left, top), text, fill=_INK, font=own)
        frames.append(page.copy())
    return _gif(frames)


def moments_of(turns: Iterable[np.ndarray]) -> list[int]:
    """The moments at which something is written in any of the `turns`, from -1, when only what is given is there, to the last;
    evenly thinned to `MOST_FRAMES`. For all media of a sample, so that their frames belong together."""
    seen = np.unique(np.concatenate([own.reshape(-1) for own in turns]))
    return _thinned([-1, *seen[seen >= 0].tolist()], MOST_FRAMES)


def _fewer(moments: Sequence[int], pixels: int) -> list[int]:
    return _thinned(moments, int(np.clip(MOST_PIXELS // pixels, 2, MOST_FRAMES)))


def _thinned(moments: Sequence[int], most: int) -> list[int]:
    chosen = np.unique(np.round(np.linspace(0, len(moments) - 1, min(most, len(moments)))).astype(int))
    return [moments[n] for n in chosen]


def _cells(pixels: tuple[int, int], grid: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """For each pixel [H, W] the cell of the grid that it belongs to, and whether it is on the line around it."""
    (down, top), (along, left) = (
        (own := np.arange(size) * count // size, np.diff(own, prepend=-1) > 0)
        for size, count in zip(pixels, grid, strict=True)
    )
    return down[:, None] * grid[1] + along, top[:, None] | left


def _pieces(codes: np.ndarray, turns: np.ndarray, decode: Callable[[np.ndarray], str]) -> list[tuple[str, int]]:
    """(text, when it was complete) of the codes, one by one where they can be read so: a character may take several."""
    found, start = [], 0
    while start < len(codes):
        for stop in range(start + 1, min(start + 4, len(codes)) + 1):
            text = decode(codes[start:stop])
            if "\ufffd" not in text:
                break
        else:
            stop, text = start + 1, decode(codes[start : start + 1])
        found.append((text, int(turns[start:stop].max())))
        start = stop
    return found


def _placed(pieces: Sequence[tuple[str, int]]) -> tuple[list[tuple[float, int, float, str, int]], int]:
    """(left, top, width, text, turn) of each piece on a page, words kept together where they fit; and the page's height."""
    own, line = lettering.font(_SIZE), _SIZE + 8
    found: list[tuple[float, int, float, str, int]] = []
    left, top = float(_MARGIN), _MARGIN
    for number, (text, turn) in enumerate(pieces):
        for part, shown in enumerate(text.split("\n")):
            if part:
                left, top = float(_MARGIN), top + line
            width = own.getlength(shown)
            if left > _MARGIN and left + _word(pieces, number, shown, own) > _WIDTH - _MARGIN:
                left, top = float(_MARGIN), top + line
                shown = shown.lstrip(" ")
                width = own.getlength(shown)
            found.append((left, top, width, shown, turn))
            left += width
    return found, top + line + _MARGIN


def _word(pieces: Sequence[tuple[str, int]], number: int, shown: str, own) -> float:
    """Width of the word that begins with `shown`, of piece `number`; of `shown` alone where it only goes on."""
    width = own.getlength(shown)
    if shown[:1].isspace():
        for text, _ in pieces[number + 1 :]:
            if not text or text[0].isspace():
                break
            width += own.getlength(text.split("\n")[0])
            if width > _WIDTH - 2 * _MARGIN:
                return own.getlength(shown)
    return width


def _gif(frames: Sequence[Image.Image]) -> bytes:
    changes = len(frames) - 1
    each = int(np.clip(1000 * _SECONDS / max(changes, 1), 60, 400)) // 10 * 10
    buffer = io.BytesIO()
    durations = [each] * changes + [_LAST]
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0)
    return buffer.getvalue()
