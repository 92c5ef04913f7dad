"""Figures of what was made: known answers, and what they stand beside."""

import dataclasses

import numpy as np
import pytest

from mdm.codecs import recognition
from mdm.codecs.codec import Sound
from mdm.data.exhibits import Exhibit
from mdm.evaluation import generated, retrieval

RNG = np.random.default_rng(0)
PICTURES = [np.kron(RNG.integers(0, 256, (8, 8, 3)), np.ones((8, 8, 1))).astype(np.uint8) for _ in range(30)]


def test_a_picture_is_nearest_to_itself_and_chance_is_chance():
    assert not retrieval.ranks(PICTURES, PICTURES).any()
    others = retrieval.ranks(PICTURES[1:] + PICTURES[:1], PICTURES)
    assert (others > 0).all()
    strangers = [RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8) for _ in range(30)]
    assert (retrieval.ranks(strangers, PICTURES) == 0).mean() < 0.2


def test_small_changes_stay_nearest_whatever_the_size():
    darker = [(picture * 0.8).astype(np.uint8) for picture in PICTURES]
    larger = [np.kron(picture, np.ones((2, 2, 1), np.uint8)) for picture in PICTURES]
    assert (retrieval.ranks(darker, PICTURES) == 0).mean() > 0.9
    assert not retrieval.ranks(larger, PICTURES).any()


def test_a_flat_picture_has_finite_features():
    assert np.isfinite(retrieval.features(np.zeros((64, 64, 3), np.uint8))).all()


@dataclasses.dataclass
class Sampler:
    steps: int = 3


class Maker:
    """Paints the picture of the caption's number, or always the first."""

    def __init__(self, listens):
        self.listens, self.seeds = listens, []

    def request(self, task, given, lengths, known):
        assert set(given) == {"text"}
        return int(given["text"].split()[1])

    def generate(self, requests, sampler, seeds):
        self.seeds += list(seeds)
        return [{"image": request if self.listens else 0} for request in requests]

    def encode(self, modality, media):
        return media

    def decode(self, document):
        own = document["image"]
        return {"image": PICTURES[own] if isinstance(own, int) else own}


def measure(maker, most=30):
    own = [Exhibit("s", split, str(n), {"text": f"number {n}", "image": PICTURES[n]})
           for split in ("heldout", "train") for n in range(30)]  # fmt: skip
    return generated.measure(maker, ("image-to-text", "text-to-image"), lambda task: own, lambda task: Sampler(), most)


def test_pictures_are_looked_for_among_those_of_their_split():
    maker = Maker(listens=True)
    figures = measure(maker, most=20)
    assert [(f.split, f.what) for f in figures] == [
        (split, what)
        for split in ("heldout", "train")
        for what in ("own picture is nearest among 20", "own picture is one of the nearest ten among 20")
    ]
    assert all((f.model, f.codec, f.original, f.documents) == (1, 1, 1, 20) for f in figures)
    assert [f.chance for f in figures[:2]] == [0.05, 0.5]
    assert maker.seeds == [*range(20), *range(20)] and figures[0].seeds == (0, 19)
    assert figures[0].sampler == {"steps": 3}


def test_a_painter_that_does_not_listen_gets_chance():
    nearest = measure(Maker(listens=False))[0]
    assert nearest.model == pytest.approx(1 / 30) == nearest.chance
    assert nearest.se_data == pytest.approx(1 / 30)  # one of 30: sqrt(p (1 - p) / (n - 1))
    assert nearest.codec == 1


def test_nothing_is_made_where_nothing_is_asked_for():
    assert measure(Maker(listens=True), most=0) == []


def test_words_are_counted_beside_the_codec_and_the_original(monkeypatch):
    heard = {"made": "red apple", "codec": "a red apple", "original": "a red apple tree"}
    monkeypatch.setattr(recognition, "transcribe", lambda sounds: [heard[sound.samples] for sound in sounds])
    media = [{"text": "A red apple-tree!", "audio": Sound("original", 1)}]
    (figure,) = generated.MEASURES["text-to-speech"].figures(
        media, [{"audio": Sound("codec", 1)}], [{"audio": Sound("made", 1)}]
    )
    assert figure.what == "word error rate" and figure.chance is None
    assert [counts.counted.tolist() for counts in (figure.model, figure.codec, figure.original)] == [[2], [1], [0]]
    assert figure.model.of.tolist() == [4]


def test_a_missing_recogniser_costs_only_what_needs_it(monkeypatch, caplog):
    monkeypatch.setattr(recognition, "available", lambda: False)
    own = [Exhibit("s", "heldout", str(n), {"text": f"number {n}", "image": PICTURES[n]}) for n in range(3)]
    tasks = ("text-to-speech", "text-to-image")
    figures = generated.measure(Maker(listens=True), tasks, lambda task: own, lambda task: Sampler(), 3)
    assert {figure.task for figure in figures} == {"text-to-image"}
    assert "mdm[scorers]" in caplog.text
