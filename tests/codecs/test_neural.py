"""The two fitted codecs: independent of neighbours, resumable bit for bit, and whole on disk."""

import dataclasses

import numpy as np
import pytest

from mdm.codecs import fitting, recognition, registry
from mdm.codecs.audio_fsq import MelFsq, MelFsqSettings
from mdm.codecs.codec import Sound
from mdm.codecs.image_fsq import ImageFsq, ImageFsqSettings
from mdm.problems import Refusal
from tests.codecs.conftest import pictures, quiet, sounds

IMAGE = ImageFsqSettings(size=16, width=8, inner_width=12, blocks=1, steps=40, batch_size=8)
AUDIO = MelFsqSettings(width=24, blocks=1, steps=40, batch_size=8, crop=32)
CASES = {"image": (ImageFsq, IMAGE, pictures), "audio": (MelFsq, AUDIO, sounds)}


@pytest.fixture(autouse=True)
def no_recogniser(monkeypatch):
    """Hearing words in sums of sines takes minutes and means nothing."""
    monkeypatch.setattr(recognition, "available", lambda: False)


@pytest.fixture(scope="module", params=list(CASES))
def case(request):
    kind, settings, media = CASES[request.param]
    own = media(24)
    return kind, settings, own, kind.fit(own, settings, progress=quiet, state=None)


def test_codes_have_the_promised_form(case):
    _, settings, media, codec = case
    for medium, codes in zip(media, codec.encode(media), strict=True):
        assert codes.dtype == np.int32 and codes.min() >= 0 and codes.max() < max(codec.codebooks)
        if isinstance(medium, Sound):
            assert codes.shape == (-(-len(medium.samples) // (320 * settings.stride)), len(codec.codebooks))
        else:
            assert codes.shape == codec.grid == (4, 4)


def test_codes_do_not_depend_on_neighbours(case):
    _, _, media, codec = case
    together = codec.encode(media)
    for index in (0, 5, 23):
        assert np.array_equal(codec.encode([media[index]])[0], together[index])
    for own, other in zip(codec.encode(media[::-1])[::-1], together, strict=True):
        assert np.array_equal(own, other)


def test_decoding_does_not_depend_on_neighbours(case):
    _, _, media, codec = case
    codes = codec.encode(media[:6])
    together, alone = codec.decode(codes), codec.decode(codes[3:4])[0]
    raw = lambda medium: medium.samples if isinstance(medium, Sound) else medium  # noqa: E731
    assert np.array_equal(raw(together[3]), raw(alone))


def test_what_comes_back_has_the_length_or_the_size(case):
    _, settings, media, codec = case
    for medium, back in zip(media[:4], codec.decode(codec.encode(media[:4])), strict=True):
        if isinstance(medium, Sound):
            assert 0 <= len(back.samples) - len(medium.samples) < 320 * settings.stride and back.rate == 16_000
        else:
            assert back.shape == (16, 16, 3) and back.dtype == np.uint8


class Interrupted(Exception):
    pass


def test_an_interrupted_fit_continues_bit_for_bit(case, tmp_path, monkeypatch):
    kind, settings, media, whole = case
    monkeypatch.setattr(fitting, "SAVE_SECONDS", 0.0)

    def interrupt(step, steps, figures):
        if step >= 17:
            raise Interrupted

    with pytest.raises(Interrupted):
        kind.fit(media, settings, progress=interrupt, state=tmp_path / "state")
    steps = []
    again = kind.fit(media, settings, progress=lambda step, *_: steps.append(step), state=tmp_path / "state")
    assert again.fingerprint == whole.fingerprint
    assert steps[0] == 18


def test_it_has_learnt_something(case):
    kind, settings, media, codec = case
    untrained = kind.fit(media, dataclasses.replace(settings, steps=1), progress=quiet, state=None)
    before, after = untrained.ceiling(media), codec.ceiling(media)
    assert (
        after["psnr_db"] > before["psnr_db"] + 2
        if "psnr_db" in after
        else after["mel_l1_db"] < 0.8 * before["mel_l1_db"]
    )
    assert after["codes_used"] >= 8 and after["perplexity"] > 1


def test_no_media_are_refused(case):
    kind, settings, _, codec = case
    with pytest.raises(Refusal, match=f"fit of the {kind.modality} codec"):
        kind.fit([], settings, progress=quiet, state=None)
    with pytest.raises(Refusal, match=f"ceiling of the {kind.modality} codec"):
        codec.ceiling([])
    assert codec.encode([]) == codec.decode([]) == []


def test_words_are_counted_only_if_there_is_a_recogniser(monkeypatch):
    codec = MelFsq.fit(sounds(2), dataclasses.replace(AUDIO, steps=1), progress=quiet, state=None)
    assert "wer_to_original" not in codec.ceiling(sounds(2))
    heard = iter([["a b"], ["a c"]])
    monkeypatch.setattr(recognition, "available", lambda: True)
    monkeypatch.setattr(recognition, "transcribe", lambda sounds: next(heard))
    monkeypatch.setattr(recognition, "word_error_rate", lambda original, found: (original, found))
    assert codec.ceiling(sounds(2))["wer_to_original"] == (["a b"], ["a c"])


def test_saved_and_loaded_it_is_the_same(case, tmp_path):
    _, _, media, codec = case
    codec.save(tmp_path)
    loaded = registry.load(tmp_path)
    assert loaded.fingerprint == codec.fingerprint
    assert all(np.array_equal(a, b) for a, b in zip(loaded.encode(media[:3]), codec.encode(media[:3]), strict=True))


@pytest.mark.parametrize("damage", ["truncate", "flip", "remove", "other"])
def test_damaged_weights_are_refused_by_name(case, tmp_path, damage):
    kind, settings, media, codec = case
    codec.save(tmp_path)
    path = tmp_path / "weights.npz"
    content = bytearray(path.read_bytes())
    if damage == "truncate":
        path.write_bytes(content[:-100])
    elif damage == "flip":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    elif damage == "remove":
        path.unlink()
    else:
        other = tmp_path / "other"
        kind.fit(media, dataclasses.replace(settings, seed=1, steps=1), progress=quiet, state=None).save(other)
        path.write_bytes((other / "weights.npz").read_bytes())
    with pytest.raises(Refusal, match=r"weights\.npz"):
        registry.load(tmp_path)


def test_an_unknown_kind_is_refused(tmp_path):
    (tmp_path / "codec.json").write_text('{"kind": "mp3", "fingerprint": "", "settings": {}}')
    with pytest.raises(Refusal, match="mp3"):
        registry.load(tmp_path)
    (tmp_path / "codec.json").write_text("[]")
    with pytest.raises(Refusal, match=r"codec\.json"):
        registry.load(tmp_path)


@pytest.mark.parametrize(
    "picture", [np.zeros((0, 4, 3), np.uint8), np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), "apple"], ids=str
)
def test_unusable_pictures_are_refused(picture):
    codec = ImageFsq.fit(pictures(2), dataclasses.replace(IMAGE, steps=1), progress=quiet, state=None)
    with pytest.raises(Refusal, match="picture 1"):
        codec.encode([*pictures(1), picture])


@pytest.mark.parametrize(
    "sound",
    [Sound(np.zeros(0, np.float32), 16_000), Sound(np.full(100, np.nan, np.float32), 16_000), Sound(np.zeros((9, 2)), 16_000),
     Sound(np.zeros(9), 0), Sound(np.zeros(9), 16_000.5), Sound(np.zeros(9, np.int16), 16_000), Sound([0.0] * 9, 16_000),
     np.zeros(9, np.float32), "apple"],
    ids=["empty", "nan", "stereo", "rate", "fraction", "int16", "list", "array", "text"],
)  # fmt: skip
def test_unusable_sounds_are_refused(sound):
    codec = MelFsq.fit(sounds(2), dataclasses.replace(AUDIO, steps=1), progress=quiet, state=None)
    with pytest.raises(Refusal, match="sound 1"):
        codec.encode([*sounds(1), sound])


def test_pictures_of_any_shape_are_fitted_into_the_square():
    codec = ImageFsq.fit(pictures(2), dataclasses.replace(IMAGE, steps=1), progress=quiet, state=None)
    shapes = [(1, 1), (100, 3), (3, 100), (333, 200)]
    assert all(own.shape == (4, 4) for own in codec.encode([np.zeros((*shape, 3), np.uint8) for shape in shapes]))


def test_very_short_and_empty_codes_decode():
    codec = MelFsq.fit(sounds(2), dataclasses.replace(AUDIO, steps=1), progress=quiet, state=None)
    one, none = codec.decode([np.zeros((1, 2), np.int32), np.zeros((0, 2), np.int32)])
    assert len(one.samples) == 640 and len(none.samples) == 0


@pytest.mark.parametrize(
    "settings, key",
    [(ImageFsqSettings(size=30), "size"), (ImageFsqSettings(levels=(1, 5)), "levels"), (ImageFsqSettings(steps=0), "steps"),
     (MelFsqSettings(books=()), "books"), (MelFsqSettings(stride=3), "stride"), (MelFsqSettings(width=0), "width")],
)  # fmt: skip
def test_impossible_settings_are_named(settings, key):
    (problem,) = settings.problems("codec")
    assert problem.where == f"codec.{key}"
    assert not ImageFsqSettings().problems("") and not MelFsqSettings().problems("")
