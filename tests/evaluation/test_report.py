"""The report: one page with everything inside, in which foreign text is only text."""

import dataclasses
import re
import types
from typing import ClassVar

import numpy as np
import pytest

from mdm.codecs.codec import Sound
from mdm.data.exhibits import Exhibit
from mdm.evaluation import gallery, pages, report, shown
from mdm.evaluation.gallery import Piece, Room, Wing
from mdm.evaluation.generated import Generated
from mdm.evaluation.result import Result
from mdm.problems import Refusal

HOSTILE = "<script>alert('x')</script>"
PICTURE = np.zeros((8, 8, 3), np.uint8)
SOUND = Sound(np.sin(np.arange(16_000) / 20).astype(np.float32) * 0.5, 16_000)


def result(task, modality, split="heldout", **changes):
    return Result(**({
        "split": split, "stream": "s", "task": task, "modality": modality, "what": "likelihood", "data": "d", "documents": 3,
        "groups": 3, "targets": 30, "samples": 2, "seeds": (1, 2), "bits": 8.0, "se_noise": 0.1, "se_data": 0.2,
        "unigram_bits": 10.0, "uniform_bits": 11.0, "unigram_documents": 3, "seconds": 1.0, "versions": {}, "device": "cpu",
    } | changes))  # fmt: skip


@dataclasses.dataclass
class Stream:
    content: dict

    def documents(self, split):
        return {"train": 10, "heldout": 2}[split]


class Manifest:
    streams: ClassVar = {
        "image-text": Stream({"train": {"text": 1000, "image": 640}, "heldout": {"text": 5, "image": 128}})
    }
    codecs: ClassVar = {"image": {"kind": "fsq-image", "ceiling": {"psnr_db": 21.5}}}


@pytest.fixture
def page():
    picture = Room(
        Wing("text-to-image", "Painted"),
        [Piece("heldout", {"text": HOSTILE, "image": PICTURE}, {"image": PICTURE}, [{"image": PICTURE}])],
        [{"steps": 8}], (0,), 1.0,
    )  # fmt: skip
    speech = Room(
        Wing("joint-audio-text", "Spoken"), [Piece(None, {}, {}, [{"text": "hello", "audio": SOUND}])], [{}], (0,), 1.0
    )
    lines = [
        {"tokens": 1e6 * n, "elbo_bits/image": 9.0 - n, "elbo_bits/text": 9.0, "share_of_rows/image-text": 1.0,
         "share_of_targets/text": 0.5, "share_of_targets/image": 0.5}
        for n in (1, 2, 3)
    ]  # fmt: skip
    results = [result("text-to-image", "image"), result("text-to-image", "image", "train", bits=12.5)]
    made = [
        Generated(
            split="heldout", task="text-to-image", modality="image", what=f"own picture is nearest {HOSTILE}", unit="%",
            better="more", documents=4, model=0.25, se_data=0.1, codec=1.0, original=1.0, chance=0.25, sampler={},
            seeds=(0, 3), seconds=1.0, versions={}, device="cpu",
        )
    ]  # fmt: skip
    return report.render(
        report.Report("a run", lines, results, made, Manifest(), [picture, speech], {"Model": [("width", "8")]})
    )


def test_everything_is_inside_the_page(page):
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!data:|#)""", page)
    assert page.count("data:image/png") == 3 and page.count("data:audio/mpeg") == 1
    assert page.count("<svg") == 5  # two curves, two mixtures, bars
    assert 'name="viewport"' in page


def test_foreign_text_is_only_text(page):
    assert HOSTILE not in page and "&lt;script&gt;" in page


def test_figures_stand_beside_what_they_are_compared_with(page):
    assert "20.0 %" in page and "-25.0 %" in page  # 8 and 12.5 bits against 10
    assert "psnr_db 21.5" in page and "1.0 s" in page
    assert "own picture is nearest" in page and "25.0 ± 10.0" in page


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    monkeypatch.setattr(pages.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Refusal, match=r"jinja2.*mdm\[report\]"):
        pages.require()


def test_figures_of_sounds():
    silent = Sound(np.concatenate([SOUND.samples, np.zeros(16_000, np.float32)]), 16_000)
    assert shown.sound_figures(silent) == "2.0 s, -12 dB, 50 % silent"
    assert shown.sound_figures(Sound(np.zeros(0, np.float32), 16_000)) == "empty"


class Maker:
    """Gives back what it is asked for."""

    def __init__(self):
        self.requests = []

    def request(self, task, given, extent):
        self.requests.append((task, given, {m: kept((2, 2)).tolist() for m, kept in extent.kept.items()}))
        return task

    def resolved(self, task, sampler):
        return sampler

    def generate(self, requests, sampler, seeds):
        return types.SimpleNamespace(documents=[{"image": (n, sampler.steps)} for n, _ in enumerate(requests)])

    def encode(self, modality, media):
        return media if modality == "text" else modality

    def decode(self, document):
        return document


@dataclasses.dataclass(frozen=True)
class Sampler:
    steps: int = 3


SAMPLERS = dict.fromkeys(("text", "text-to-image", "joint-image-text"), Sampler())


def test_the_gallery_shows_both_splits_and_gives_targets_only_to_what_continues_them():
    own = [Exhibit("image-text", split, f"{split}{n}", {"text": f"{split} {n}", "image": PICTURE})
           for split in ("heldout", "train") for n in range(3)]  # fmt: skip
    maker = Maker()
    rooms = gallery.show(maker, ("text-to-image",), lambda _: own, [SAMPLERS], 2, 5)
    assert [room.wing.known for room in rooms] == ["", "0:0.5"]
    assert [piece.split for piece in rooms[0].pieces] == ["heldout", "heldout", "train", "train"]
    painted, continued = maker.requests[:4], maker.requests[4:]
    assert all(set(given) == {"text"} and not known for _, given, known in painted)
    assert all(
        set(given) == {"text", "image"} and known == {"image": [[True] * 2, [False] * 2]}
        for _, given, known in continued
    )
    assert rooms[0].pieces[0].codec == {"image": "image"}


def test_what_comes_from_nothing_needs_no_exhibits():
    rooms = gallery.show(Maker(), ("joint-image-text",), lambda _: [], [SAMPLERS], 2, 5)
    assert [piece.split for piece in rooms[0].pieces] == [None, None]


def test_prose_is_shown_in_an_excerpt_that_fits():
    own = [Exhibit("text", "heldout", "k", {"text": "a long text"})]
    maker = Maker()
    rooms = gallery.show(maker, ("text",), lambda _: own, [SAMPLERS], 1, 6)
    assert [len(room.pieces) for room in rooms] == [1, 1]
    assert maker.requests[1] == ("text", {"text": "a long"}, {"text": [[True] * 2, [False] * 2]})


def test_what_other_samplers_make_of_the_same_is_shown_beside_it():
    own = [Exhibit("image-text", "heldout", "k", {"text": "k", "image": PICTURE})]
    show = lambda other: gallery.show(Maker(), ("text-to-image",), lambda _: own, [SAMPLERS, other], 1, 5)[0]  # noqa: E731
    room = show({"text-to-image": Sampler(5)})
    assert room.pieces[0].made == [{"image": (0, 3)}, {"image": (0, 5)}]
    assert [sampler["steps"] for sampler in room.samplers] == [3, 5]
    assert report._differences(room) == [{"steps": 5}]
    assert len(show(SAMPLERS).samplers) == 1  # equal ones are shown once
