"""Figures of what was made: for every task, beside what they are compared with, and nothing measured twice."""

import dataclasses
import importlib.util
import json
import types

import numpy as np
import pytest

from mdm.codecs.codec import Sound
from mdm.data.exhibits import Exhibit
from mdm.evaluation import generated
from mdm.evaluation.generated import Generated
from mdm.evaluation.incomplete import Incomplete
from mdm.evaluation.measures.measure import LESS, MORE, Figure, Measure, Score
from mdm.evaluation.measures.pictures import OWN_PICTURE
from mdm.evaluation.measures.registry import QUICK
from mdm.evaluation.originals import Originals
from mdm.problems import Problem, Refusal
from mdm.tokens.tasks import TASKS

RNG = np.random.default_rng(0)
COUNT = 30
PICTURES = [np.kron(RNG.integers(0, 256, (8, 8, 3)), np.ones((8, 8, 1))).astype(np.uint8) for _ in range(COUNT)]
SOUNDS = [Sound(np.sin(np.cumsum(RNG.random(3000 + 100 * n))).astype(np.float32) / 2, 16_000) for n in range(COUNT)]
MEDIA = [{"text": f"number {n}", "image": PICTURES[n], "audio": SOUNDS[n]} for n in range(COUNT)]


@dataclasses.dataclass
class Sampler:
    steps: int = 3

    def room_seed(self, seed):
        return seed


class Maker:
    """Makes the document of the number that a caption says; without a caption, or if it does not listen, the first. Codes are
    the media themselves; the image codec gives back grey."""

    def __init__(self, listens=True):
        self.listens, self.seeds, self.encoded = listens, [], 0

    def request(self, task, given, seed):
        assert set(given) == set(TASKS[task].conditions)
        return task, int(given["text"].split()[1]) if "text" in given and self.listens else 0

    def resolved(self, task, sampler):
        return sampler

    def generate(self, requests, sampler, seeds):
        self.seeds += list(seeds)
        documents = [{m: MEDIA[number][m] for m in TASKS[task].targets} for task, number in requests]
        return types.SimpleNamespace(documents=documents)

    def encode(self, modality, media):
        self.encoded += 1
        return np.zeros_like(media) if modality == "image" else media

    def decode(self, document):
        return document


def originals(most=COUNT, splits=("heldout", "train")):
    own = [Exhibit("s", split, str(n), MEDIA[n]) for split in splits for n in range(COUNT)]
    return Originals(lambda task: own, most)


def measure(maker, own, tasks=("text-to-image",), measures=(OWN_PICTURE,)):
    return generated.measure(maker, tasks, own, lambda task: Sampler(), measures)


def test_pictures_are_looked_for_among_those_of_their_split():
    maker = Maker()
    figures = [f for f in measure(maker, originals(20)) if "picture" in f.what]
    assert [(f.split, f.what) for f in figures] == [
        (split, what)
        for split in ("heldout", "train")
        for what in ("own picture is nearest", "own picture is one of the nearest ten")
    ]
    assert all((f.model, f.original, f.documents) == (1, 1, 20) for f in figures)
    assert [f.chance for f in figures[:2]] == [0.05, 0.5]
    assert figures[0].codec < 1  # grey
    assert maker.seeds == [*range(20), *range(20)] and figures[0].seeds == (0, 19)
    assert figures[0].sampler == {"steps": 3}


def test_a_figure_tells_the_sampler_as_it_was_used(monkeypatch):
    used = []
    monkeypatch.setattr(Maker, "resolved", lambda self, task, sampler: dataclasses.replace(sampler, steps=len(task)))
    make = Maker.generate
    monkeypatch.setattr(Maker, "generate", lambda self, *given: used.append(given[1].steps) or make(self, *given))
    (first, *_) = measure(Maker(), originals(2))
    assert first.sampler == {"steps": 13} and set(used) == {13}


def test_every_split_gets_what_was_made_for_it():
    own = [Exhibit("s", "train" if n < 7 else "heldout", str(n), MEDIA[n]) for n in range(12)]
    maker = Maker()
    figures = [f for f in measure(maker, Originals(lambda task: own, 6)) if f.what == "own picture is nearest"]
    assert [(f.split, f.documents, f.model, f.seeds) for f in figures] == [
        ("train", 6, 1, (0, 5)),
        ("heldout", 5, 1, (0, 4)),
    ]
    assert maker.seeds == [*range(6), *range(5)]


def test_more_than_the_data_set_keeps_is_told_and_the_real_number_recorded(caplog):
    figures = measure(Maker(), originals(1000, ("heldout",)))
    assert "keeps 30 originals, so 30 documents are made and not 1000" in caplog.text
    assert {figure.documents for figure in figures} == {COUNT}


def test_the_batch_and_the_stream_change_nothing_of_what_is_made():
    maker = Maker()
    own = generated.measure(maker, ("text-to-image",), originals(5, ("heldout",)), lambda task: Sampler(), (OWN_PICTURE,),
                            3, stream="pairs", batch=2)  # fmt: skip
    assert maker.seeds == [3, 4, 5, 6, 7] and {figure.stream for figure in own} == {"pairs"}


def test_what_was_made_is_shown_beside_its_originals_once():
    shown = []
    for task in ("text-to-image", "joint-image-text"):
        generated.measure(
            Maker(), (task,), originals(4), lambda task: Sampler(), QUICK, show=lambda *own: shown.append(own)
        )
    assert [(task, split) for task, split, _, _ in shown] == [
        ("text-to-image", "heldout"), ("text-to-image", "train"), ("joint-image-text", "heldout"),
    ]  # fmt: skip
    assert shown[0][2][3] == MEDIA[3] and shown[0][3][3] == {"image": PICTURES[3]}


def test_a_painter_that_does_not_listen_gets_chance():
    nearest = measure(Maker(listens=False), originals())[0]
    assert nearest.model == pytest.approx(1 / COUNT) == nearest.chance
    assert nearest.se_data == pytest.approx(1 / COUNT)  # one of 30: sqrt(p (1 - p) / (n - 1))


def test_nothing_is_made_where_nothing_is_asked_for():
    maker = Maker()
    assert measure(maker, originals(0)) == measure(maker, originals(), tasks=("image-to-text",)) == []
    assert not maker.seeds


def test_every_task_has_figures_that_can_be_written_and_read():
    figures = measure(Maker(), originals(8), tuple(TASKS), QUICK)
    assert {figure.task for figure in figures} == set(TASKS)
    stamp = {"step": 7, "config": "abc", "weights": "ema", "time": "now"}  # as `parts.make` adds it to a line
    for figure in figures:
        line = json.dumps({**figure.to_json(), **stamp}, allow_nan=False)
        assert Generated.from_json(json.loads(line)) == dataclasses.replace(figure, **stamp)
        assert figure.documents == 8 and figure.device.startswith("cpu") and "jax" in figure.versions
    chrf = next(figure for figure in figures if figure.what == "chrF")
    assert chrf.versions["sacrebleu"][0].isdigit() and chrf.modality == "text"


def test_a_task_that_is_refused_does_not_keep_the_others_from_being_measured():
    def exhibits(task):
        if task == "text-to-image":
            raise Refusal(Problem("000.png", None, "cannot be read", "restore it"))
        return own

    own = [Exhibit("s", "heldout", str(n), MEDIA[n]) for n in range(4)]
    with pytest.raises(Incomplete, match=r"000\.png") as refusal:
        measure(Maker(), Originals(exhibits, 4), ("text-to-image", "image-to-text"), QUICK)
    assert {figure.task for figure in refusal.value.results} == {"image-to-text"}
    assert refusal.value.missing == ("text-to-image",)


class Counted:
    """A measure that counts what it was asked to score."""

    def __init__(self, task):
        self.asked = []
        self.measure = Measure("counted", (task,), "image", (Figure("f", "", MORE),), self.score)

    def score(self, made, own):
        self.asked.append([made is own, len(made)])
        return [Score(1.0)]


def test_originals_and_codecs_are_scored_once_for_all_samplers():
    counted, own, maker = Counted("text-to-image"), originals(5, ("heldout",)), Maker()
    for _ in range(3):
        measure(maker, own, measures=(counted.measure,))
    assert len(counted.asked) == 3 + 2  # three times the model; the codec and the originals once
    assert sum(same for same, _ in counted.asked) == 1
    assert maker.encoded == 5 and len(maker.seeds) == 15


def test_what_hangs_on_the_amount_stands_beside_as_much_of_the_originals():
    seen = []
    beside = lambda group, true, made: seen.append((group is true, len(made[0]["text"]))) or [Score(2.0)]  # noqa: E731
    own = Measure("m", ("image-to-text",), "text", (Figure("f", "", MORE),), lambda *_: [Score(1.0)], beside=beside)
    for _ in range(2):  # made anew for other texts
        (figure,) = measure(Maker(), originals(2, ("heldout",)), ("image-to-text",), (own,))
    assert seen == [(False, 8), (True, 8)] * 2 and (figure.model, figure.codec, figure.original) == (1.0, 2.0, 2.0)


def test_a_medium_goes_through_its_codec_once_for_all_tasks_and_measures():
    maker = Maker()
    measure(maker, originals(4, ("heldout",)), ("text-to-image", "joint-image-text"), QUICK)
    assert maker.encoded == 2 * 4  # pictures and captions


def test_what_comes_from_nothing_is_made_once_for_both_splits():
    maker = Maker()
    figures = measure(maker, originals(6), ("joint-image-text",), QUICK)
    assert {figure.split for figure in figures} == {"heldout", "train"}
    assert maker.seeds == [*range(6)]


def test_a_missing_package_costs_only_what_needs_it(monkeypatch, caplog):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "sacrebleu" else real(name))
    figures = measure(Maker(), originals(3), ("image-to-text", "text-to-image"), QUICK)
    assert "chrF" not in {figure.what for figure in figures}
    assert {figure.task for figure in figures} == {"image-to-text", "text-to-image"}
    assert "sacrebleu" in caplog.text and "mdm[scorers]" in caplog.text


def test_a_task_whose_measures_all_lack_a_package_is_not_sampled(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    needy = Measure("n", ("text-to-image",), "image", (Figure("f", "", LESS),), lambda a, b: [Score(1.0)], ("absent",))
    maker = Maker()
    assert measure(maker, originals(), measures=(needy,)) == [] and not maker.seeds
