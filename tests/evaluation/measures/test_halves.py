"""Halves that belong together, and halves of other pairs."""

import numpy as np
import pytest

from mdm.codecs import recognition
from mdm.codecs.codec import Sound
from mdm.data import media, samples
from mdm.evaluation.measures import halves, speech


def test_texts_are_likest_to_themselves():
    texts = ["red apple", "a cat asleep", "Red  Apples", ""]
    found = halves.similarity(texts, texts[:2])
    assert found.shape == (4, 2)
    np.testing.assert_allclose(found[:2, :2], np.eye(2), atol=0.2)
    assert found[2, 0] > 0.7 and not found[3].any()


def test_agreement_and_its_chance():
    similarity = np.eye(40)
    for order, value in ((np.arange(40), 1.0), ((np.arange(40) + 20) % 40, 0.0)):
        apart = np.abs(order[:, None] - np.arange(40)[None])  # the nearest ten of n are those around order[n]
        found = halves.agreement(similarity, apart)
        assert found.value == value
        assert found.chance == pytest.approx(10 / 40, abs=0.03)


def test_agreement_looks_up_the_text_first():
    texts = np.zeros((3, 40))
    texts[np.arange(3), (30, 20, 10)] = 1
    apart = np.abs(np.array([28, 20, 30])[:, None] - np.arange(40))
    found = halves.agreement(texts, apart)  # the third picture leads to 30, which is the text of the first
    assert found.value == pytest.approx(2 / 3) and found.chance == pytest.approx(1 / 6)


def test_captions_and_pictures_that_were_exchanged_are_told():
    files = sorted((samples.directory() / "images").glob("*.png"))[:40]
    own = [{"text": path.stem.replace("-", " "), "image": media.read_image(path)} for path in files]
    (together,) = halves.CAPTION_AND_PICTURE.score(own, own)
    assert together.value == 1 and together.chance < 0.4
    mixed = [{"text": a["text"], "image": b["image"]} for a, b in zip(own, own[20:] + own[:20], strict=True)]
    (apart,) = halves.CAPTION_AND_PICTURE.score(mixed, own)
    assert apart.value < 0.5


def test_words_that_are_heard_are_told_against_the_own_text(monkeypatch):
    pytest.importorskip("jiwer")
    monkeypatch.setattr(speech, "_heard", {})
    monkeypatch.setattr(recognition, "transcribe", lambda sounds: ["red apple", "blue car"])
    made = [{"text": text, "audio": Sound(np.full(9, text == "Red apple", np.float32), 16_000)}
            for text in ("Red apple", "blue cart")]  # fmt: skip
    (score,) = halves.TEXT_AND_WORDS.score(made, [{"text": "nothing of it"}] * 2)
    assert score.value == 0.25 and score.chance == 1
