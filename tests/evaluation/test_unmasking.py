"""Animations: what each frame shows of a sample."""

import io

import numpy as np
import pytest
from PIL import Image

from mdm.codecs.codec import Sound
from mdm.codecs.text_bytes import Bytes
from mdm.evaluation import unmasking

COLOURS = np.array([[[200, 0, 0], [0, 200, 0]], [[0, 0, 200], [250, 250, 250]]], np.uint8)
PICTURE = COLOURS.repeat(16, axis=0).repeat(16, axis=1)
TURNS = np.array([[3, -1], [0, 3]])
TONE = Sound(np.sin(np.arange(6400) / 5).astype(np.float32), 16_000)


def frames(gif: bytes) -> list[np.ndarray]:
    image = Image.open(io.BytesIO(gif))
    found = []
    for number in range(image.n_frames):
        image.seek(number)
        found.append(np.asarray(image.convert("RGB")).astype(int))
    return found


def text_of(codes):
    return Bytes().decode([codes])[0]


def test_cells_of_a_picture_appear_when_they_were_written():
    shown = frames(unmasking.of_picture(PICTURE, TURNS, unmasking.moments_of([TURNS])))
    assert len(shown) == 3 and shown[0].shape == (256, 256, 3)
    for moment, frame in zip((-1, 0, 3), shown, strict=True):
        for row in range(2):
            for column in range(2):
                seen = frame[64 + 128 * row, 64 + 128 * column]
                known = TURNS[row, column] <= moment
                wanted = COLOURS[row, column].astype(int) if known else np.full(3, 176)
                np.testing.assert_allclose(seen, wanted, atol=2)


def test_frames_lie_evenly_and_end_with_the_whole():
    assert unmasking.moments_of([np.array([5, -1, 2]), np.array([[2, 9]])]) == [-1, 2, 5, 9]
    many = unmasking.moments_of([np.arange(1000)])
    assert len(many) == unmasking.MOST_FRAMES and many[0] == -1 and many[-1] == 999
    assert np.ptp(np.diff(many)) <= 1
    assert unmasking.moments_of([np.full(3, -1)]) == [-1]


def test_columns_of_a_sound_get_clear_as_their_codebooks_are_written():
    turns = np.array([[-1, -1], [0, 1]] * 5)  # ten frames of the codec, 20 of the spectrogram
    none, half, whole = frames(unmasking.of_sound(TONE, turns, [-1, 0, 1]))
    width = none.shape[1] // 10
    odd = (np.arange(none.shape[1]) // width) % 2 == 1
    np.testing.assert_array_equal(none[:, ~odd], whole[:, ~odd])
    assert np.ptp(none[:, odd]) < 20 < np.ptp(half[:, odd]) < np.ptp(whole[:, odd])


def test_tokens_of_a_text_appear_in_their_final_place():
    codes = Bytes().encode(["ab cd"])[0]
    none, some, whole = frames(unmasking.of_text(codes, np.array([-1, 1, 1, 1, 0]), [-1, 0, 1], text_of))
    ink = [(frame < 100).all(axis=2) for frame in (none, some, whole)]
    assert ink[0].any() and ink[1][ink[0]].all() and ink[2][ink[1]].all()
    columns = [own.any(axis=0).nonzero()[0] for own in ink]
    assert columns[0].max() < columns[1].max() == columns[2].max()  # a, then d
    assert (none == 176).any() and not (whole == 176).any()


def test_a_character_of_several_tokens_is_one_piece_and_broken_ones_are_shown():
    codes = np.array([*"aö".encode(), 0xFF, *"€".encode()], np.int32)
    pieces = unmasking._pieces(codes, np.array([0, 5, 2, 1, 3, 9, 4]), text_of)
    assert pieces == [("a", 0), ("ö", 5), ("\ufffd", 1), ("€", 9)]


def test_words_are_kept_together_and_lines_end_where_the_text_says():
    pieces = [(c, 0) for word in ("alpha", "beta", "gamma") * 20 for c in (" " + word[:2], word[2:])]
    placed, height = unmasking._placed(pieces)
    assert all(left + width <= 520 for left, _, width, _, _ in placed) and height > 80
    for (_, above, _, first, _), (_, below, _, second, _) in zip(placed, placed[1:], strict=False):
        if below > above:
            assert second.strip() in ("al", "be", "ga"), (first, second)
    tops = [top for _, top, _, text, _ in unmasking._placed([("a\n\nb", 0), ("c", 1)])[0] if text]
    assert tops[1] == tops[2] > tops[0] + 30


@pytest.mark.parametrize("length", [1, 3000])
def test_every_medium_of_a_sample_has_one_and_an_empty_one_none(length):
    codes = {"text": np.full(length, 97), "image": np.zeros((2, 2), int), "audio": np.zeros((10, 2), int)}
    turns = {m: np.arange(own.size).reshape(own.shape) for m, own in codes.items()}
    media = {"text": "a" * length, "image": PICTURE, "audio": TONE}
    made = unmasking.animations(media, codes, turns, lambda some: {"text": text_of(some["text"])})
    assert set(made) == set(media) and all(own[:3] == b"GIF" and len(own) < 1e6 for own in made.values())
    empty = {m: own[:0] for m, own in codes.items() if m != "image"}
    assert not unmasking.animations({"text": "", "audio": Sound(TONE.samples[:0], 16_000)}, empty, empty, dict)
