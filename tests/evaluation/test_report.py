"""The report: one page with everything inside, in which foreign text is only text."""

import dataclasses
import re
import types
from typing import ClassVar

import numpy as np
import pytest

from mdm.codecs.codec import Sound
from mdm.data.exhibits import Exhibit
from mdm.evaluation import gallery, measured, pages, paper, plots, report, shown, watched
from mdm.evaluation.against import EvaluatedRun
from mdm.evaluation.evaluated import Evaluated
from mdm.evaluation.gallery import Piece, Room, Wing
from mdm.evaluation.generated import Generated
from mdm.evaluation.incomplete import Incomplete
from mdm.evaluation.result import Result
from mdm.problems import Problem, Refusal
from tests.evaluation.test_document_scores import scores

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


def render(own, lines=(), rooms=(), history=None, others=()):
    run = EvaluatedRun("a/run", {"model": {"width": 8, "depth": 2}}, own)
    facts = {"Model": [("width", "8")]}
    return report.render(report.Report("a run", lines, run, history or {}, others, Manifest(), rooms, facts))


@pytest.fixture
def page():
    picture = Room(
        Wing("text-to-image", "Painted"), "pairs",
        [Piece("heldout", {"text": HOSTILE, "image": PICTURE}, {"image": PICTURE}, [{"image": PICTURE}])],
        [{"steps": 8}], (0,), 1.0,
    )  # fmt: skip
    speech = Room(
        Wing("joint-audio-text", "Spoken"),
        "speech",
        [Piece(None, {}, {}, [{"text": "hello", "audio": SOUND}])],
        [{}],
        (0,),
        1.0,
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
    return render(Evaluated(3, results, made=made), lines, [picture, speech])


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


@pytest.mark.parametrize("streams", [("prose", "code"), ("prose", "prose")])
def test_streams_that_share_a_task_have_rows_and_bars_that_can_be_told_apart(streams):
    own = [result("text", "text", split, stream=stream) for split in ("heldout", "train") for stream in set(streams)]
    page = render(Evaluated(3, own)).partition("What it has learnt")[2]
    bars, _, table = page.partition("<table>")
    several = len(set(streams)) > 1
    for stream in set(streams):
        assert (f"text ({stream}): text" in bars, table.count(f'<td class="t">{stream}</td>')) == (
            (True, 2) if several else (False, 0)
        )
    assert ('<th class="t">stream</th>' in table) == several


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
        self.asked = []

    def requests(self, task, given, seeds, extent):
        self.asked.append((task, given, {m: kept((2, 2)).tolist() for m, kept in extent.kept.items()}))
        return [task] * len(seeds)

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

    def room_seed(self, seed):
        return seed


SAMPLERS = dict.fromkeys(("text", "text-to-image", "joint-image-text"), Sampler())


def test_the_gallery_shows_both_splits_and_gives_targets_only_to_what_continues_them():
    own = [Exhibit("image-text", split, f"{split}{n}", {"text": f"{split} {n}", "image": PICTURE})
           for split in ("heldout", "train") for n in range(3)]  # fmt: skip
    maker = Maker()
    rooms = gallery.show(maker, {"pairs": ("text-to-image",)}, lambda _: own, [SAMPLERS], 2, 5)
    assert [room.wing.known for room in rooms] == ["", "0:0.5"]
    assert [piece.split for piece in rooms[0].pieces] == ["heldout", "heldout", "train", "train"]
    painted, continued = maker.asked[:4], maker.asked[4:]
    assert all(set(given) == {"text"} and not known for _, given, known in painted)
    assert all(
        set(given) == {"text", "image"} and known == {"image": [[True] * 2, [False] * 2]}
        for _, given, known in continued
    )
    assert rooms[0].pieces[0].codec == {"image": "image"}


def test_what_comes_from_nothing_needs_no_exhibits():
    rooms = gallery.show(Maker(), {"pairs": ("joint-image-text",)}, lambda _: [], [SAMPLERS], 2, 5)
    assert [piece.split for piece in rooms[0].pieces] == [None, None]


def test_streams_that_share_a_task_are_both_shown_and_named():
    own = {name: [Exhibit(name, "heldout", "k", {"text": f"{name} text"})] for name in ("prose", "code")}
    rooms = gallery.show(Maker(), dict.fromkeys(own, ("text",)), own.__getitem__, [SAMPLERS], 1, 5)
    assert [(room.stream, room.wing.known) for room in rooms] == [
        ("prose", ""), ("prose", "0:0.5"), ("code", "0:0.5"),
    ]  # fmt: skip  # what comes from nothing is the same for both
    assert [room.pieces[0].original["text"] for room in rooms[1:]] == ["prose", "code "]


def test_what_cannot_be_shown_costs_the_other_rooms_nothing():
    def exhibits(stream):
        if stream == "pairs":
            raise Refusal(Problem("000.png", None, "cannot be read", "restore it"))
        return [Exhibit("prose", "heldout", "k", {"text": "a long text"})]

    with pytest.raises(Incomplete, match=r"000\.png") as refusal:
        gallery.show(Maker(), {"pairs": ("text-to-image",), "prose": ("text",)}, exhibits, [SAMPLERS], 1, 6)
    assert [room.stream for room in refusal.value.results] == ["prose", "prose"]
    assert len(refusal.value.problems) == 1 and len(refusal.value.missing) == 2


def test_prose_is_shown_in_an_excerpt_that_fits():
    own = [Exhibit("text", "heldout", "k", {"text": "a long text"})]
    maker = Maker()
    rooms = gallery.show(maker, {"prose": ("text",)}, lambda _: own, [SAMPLERS], 1, 6)
    assert [len(room.pieces) for room in rooms] == [1, 1]
    assert maker.asked[1] == ("text", {"text": "a long"}, {"text": [[True] * 2, [False] * 2]})


def test_what_other_samplers_make_of_the_same_is_shown_beside_it():
    own = [Exhibit("image-text", "heldout", "k", {"text": "k", "image": PICTURE})]
    show = lambda other: gallery.show(Maker(), {"pairs": ("text-to-image",)}, lambda _: own, [SAMPLERS, other], 1, 5)[0]  # noqa: E731
    room = show({"text-to-image": Sampler(5)})
    assert room.pieces[0].made == [{"image": (0, 3)}, {"image": (0, 5)}]
    assert [sampler["steps"] for sampler in room.samplers] == [3, 5]
    assert report._differences(room) == [{"steps": 5}]
    assert len(show(SAMPLERS).samplers) == 1  # equal ones are shown once


def test_a_few_samples_of_every_task_are_watched():
    made = [{"text": f"number {n}", "image": PICTURE, "audio": SOUND} for n in range(30)]
    documents = lambda task: watched.of_documents(["generated", task], task, made, made)  # noqa: E731
    (picture,) = documents("text-to-image")
    assert picture.name == "generated/text-to-image/image" and picture.media.shape[1] > 4 * 8
    assert [sample.name[-7:] for sample in documents("text-to-speech")] == ["audio/0", "audio/1", "audio/2"]
    (text,) = documents("image-to-text")
    assert text.media.count("true:") == text.media.count("---") + 1 == watched.MOST_TEXTS
    assert [sample.name.rsplit("/", 1)[1] for sample in documents("joint-image-text")] == ["text", "image"]


def test_the_gallery_is_watched_by_split_and_part():
    piece = lambda split: Piece(split, {"text": "a"}, {}, [{"image": PICTURE}, {}])  # noqa: E731
    rooms = [Room(Wing("text-to-image", "Painted", known), "s", [piece("train"), piece("heldout")], [{}], (0,), 1.0)
             for known in ("", "0:0.5")]  # fmt: skip
    rooms.append(
        Room(Wing("text", "Written"), "s", [Piece(None, {}, {}, [{"text": "# no\nheading"}])], [{}], (0,), 1.0)
    )
    samples = watched.of_rooms(rooms)
    assert [sample.name for sample in samples] == [
        "gallery/train/s/text-to-image/image", "gallery/heldout/s/text-to-image/image",
        "gallery/train/s/text-to-image/continued/image", "gallery/heldout/s/text-to-image/continued/image",
        "gallery/from-nothing/s/text/text",
    ]  # fmt: skip
    assert samples[-1].media == "    # no\n    heading"


STEPS = {step: [result("text-to-image", "image", bits=9.0 - step / 10), result("text", "text", bits=8.0 - step / 10)]
         for step in range(1, 31)}  # fmt: skip


def cells(table):
    """Rows of the HTML tables of a page, as texts."""
    return [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row) for row in re.findall(r"<tr>(.*?)</tr>", table, re.S)]


def test_the_steps_of_a_run_are_compared():
    page = render(Evaluated(30, STEPS[30]), history=STEPS)
    (_, section) = page.split("How its steps compare")
    head, first, second = cells(section)[:3]
    assert head[:3] == ["split", "task", "of"] and head[3] == "step 1" and head[-1] == "step 30" and len(head) == 3 + 6
    assert first[3] == "8.900 ± 0.200" and first[-1] == "6.000 ± 0.200" and second[:3] == ["heldout", "text", "text"]
    assert section.count("<svg") == 2
    assert "How its steps compare" not in render(Evaluated(1, STEPS[1]), history={1: STEPS[1]})


def test_runs_stand_beside_each_other_with_what_differs():
    own, other = Evaluated(9, STEPS[9]), Evaluated(8, [STEPS[8][0], result("joint-image-text", "text")])
    foreign = [result("text", "text", data="another")]
    others = [
        EvaluatedRun("b/run", {"model": {"width": 16, "depth": 2}}, other),
        EvaluatedRun("c/run", {"model": {"width": 8, "depth": 2, "gate": HOSTILE}}, Evaluated(9, foreign)),
    ]
    page = render(own, others=others)
    section = page.split("Beside other runs")[1]
    rows = cells(section)
    assert [row[:2] for row in rows[1:4]] == [["a/run", "9"], ["b/run", "8"], ["c/run", "9"]]
    assert rows[5] == ["heldout", "text-to-image", "image", "8.100 ± 0.200", "8.200 ± 0.200", "+0.100 ± 0.283", "", ""]
    assert rows[6][-4:] == ["", "", "8.000 ± 0.200", "other data"]
    assert rows[8:10] == [["model.gate", "", "", "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"],
                          ["model.width", "8", "16", "8"]]  # fmt: skip
    assert "independent means" in section and "document by document" in section
    assert "Beside other runs" not in render(own)


def difference(own, other):
    """What the page says of two runs with these scores of documents, of the same figures."""
    pair = [
        Evaluated(step, [result("text-to-image", "image", weights="ema")], documents=[costs])
        for step, costs in ((9, own), (8, other))
    ]
    page = render(pair[0], others=[EvaluatedRun("b/run", {}, pair[1])])
    (row,) = [row for row in cells(page.split("Beside other runs")[1]) if row[:2] == ["heldout", "text-to-image"]]
    return row[-1]


def costs_of(nats, names):
    return dataclasses.replace(scores([nats], names, task="text-to-image", modality="image"), weights="ema")


def test_runs_that_kept_what_each_document_cost_are_compared_in_pairs():
    """20 documents that cost very different amounts, each of them 0.5 bits a token less in the other run."""
    nats, names = 8.1 * 5 * np.log(2) * np.linspace(0.5, 1.5, 20), list(map(str, range(20)))
    own, other = (costs_of(nats - less, names) for less in (0, 0.5 * 5 * np.log(2)))
    assert difference(own, other) == "-0.500 ± 0.000"


def test_runs_that_share_no_document_are_compared_by_their_means():
    assert difference(costs_of([1.0, 2.0], "ab"), costs_of([3.0, 5.0], "cd")) == "+0.000 ± 0.283"


def test_orders_choices_and_the_harness_are_on_the_page():
    scoring = {"scoring": {"method": "elbo"}, "documents": 4}
    choice = {"name": "c.jsonl", "questions": 4, "accuracy": 0.5, "se_data": 0.25, "accuracy_by_length": 0.75,
              "by_length_se_data": None, "chance": 0.25, **scoring}  # fmt: skip
    line = {"task": "arc", "metric": "acc", "value": 0.5, "se_data": 0.1, **scoring}
    order = result("text", "text", what="chain-rule", order="random", mixture_bits=7.25)
    page = render(Evaluated(1, STEPS[1], [order], choices=[choice], harness=[line]))
    rows = cells(page)
    assert ["c.jsonl", "elbo", "4", "50.0 ± 25.0", "75.0", "25.0"] in rows
    assert ["arc", "acc", "elbo", "4", "0.5000 ± 0.1000"] in rows
    assert any("chain-rule, random x 2" in row and "7.250" in row for row in rows)
    text = paper.page(Evaluated(1, STEPS[1], [order], choices=[choice], harness=[line]))
    assert [line for line in text.splitlines() if line.startswith("#")] == [
        "## Likelihood", "## Multiple choice", "## lm-evaluation-harness"
    ]  # fmt: skip
    assert "| c.jsonl | elbo | 4 | 50.0 ± 25.0 | 75.0 | 25.0 |" in text and "chain-rule, random x 2" in text


def test_streams_that_share_a_task_are_told_apart_in_tables():
    two = [result("text", "text", stream=stream) for stream in ("prose", "code")]
    assert "| split | stream | task |" in paper.table(two) and "stream" not in paper.table(two[:1])
    made = [
        Generated(split="heldout", task="text", modality="text", what="entropy", unit="bits", better="alike", documents=4,
                  model=1.0, se_data=None, codec=None, original=2.0, chance=None, sampler={}, seeds=(0, 3), seconds=1.0,
                  versions={}, device="cpu", stream=stream)
        for stream in ("prose", "code")
    ]  # fmt: skip
    assert [block.task for block in measured.blocks(made)] == ["text (prose)", "text (code)"]
    assert [block.task for block in measured.blocks(made[:1])] == ["text"]
    text = paper.page(Evaluated(1, two, made=made))
    assert "| heldout | code | text | text | entropy (bits) | ≈ | 4 | 1.00 | 2.00 |" in text


def test_a_stream_of_any_name_has_a_colour():
    names = ["image-text", "captions", "image", *"abcdefgh"]
    lines = [{"tokens": 1e6, **{f"share_of_rows/{name}": 0.1 for name in names}}] * 2
    assert plots.mixture(lines, "rows").startswith("<svg")
    assert plots._colours(["image-text", "captions", "image"])[0] == plots.COLOURS["image"]
    assert len(set(plots._colours(names[:6]))) == 6
