"""The whole line, small: media -> data set -> a few steps -> a run folder that is scored and generates every task."""

import dataclasses
import json
import math

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from mdm import config, trained
from mdm.codecs.codec import Sound
from mdm.data.extents import Extent
from mdm.data.media import read_image
from mdm.data.preparation import prepare
from mdm.data.regions import parts
from mdm.data.spans import SpanLength
from mdm.evaluation.gallery import WINGS
from mdm.problems import Refusal
from mdm.sampling.canvas import expected_tail
from mdm.sampling.defaults import DEFAULTS
from mdm.sampling.settings import SamplerSettings
from mdm.tokens.rows import tail_length
from mdm.tokens.tasks import TASKS
from mdm.trained import TrainedModel
from tests import binaries
from tests.data.test_preparation import settings_of, write_media

SOUND = Sound((0.1 * np.sin(np.arange(4000) / 9)).astype(np.float32), 16_000)


def tiny(root):
    """A config over the data set in `root`."""
    c = config.base()
    c.data.directory = str(root / "set")
    c.data.row_length = 96
    c.data.streams = {
        "text": config.stream({"text": 1.0}, split_documents=True),
        "image_text": config.stream({"text_to_image": 1.0, "image_to_text": 1.0, "joint_image_text": 1.0}),
        "audio_text": config.stream({"text_to_speech": 1.0, "speech_to_text": 1.0, "joint_audio_text": 1.0}),
    }
    c.data.stages = [config.stage(text=1, image_text=1, audio_text=2)]
    c.model.update({"width": 16, "depth": 1, "head_size": 8, "head_chunk": 64})
    c.training.update({"batch_size": 4, "tokens": 3 * 4 * 96, "log_every": 1})
    c.checkpoints.every = 2
    c.evaluation.update({"documents": 4, "samples": 1, "batch_rows": 4})
    return c


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder with the run `run`, trained by the binary and named by a relative path."""
    root = tmp_path_factory.mktemp("line")
    write_media(root / "media")
    prepare(settings_of(root / "media"), root / "set")
    value = tiny(root).to_dict() | {"prepare": config.to_dict(settings_of(root / "media"))}
    (root / "config.py").write_text(
        f"from ml_collections import ConfigDict\n\ndef get_config():\n    return ConfigDict({value!r})\n"
    )
    binary(root, "train", "--config=config.py", "--workdir=run")
    return root


def binary(root, name, *arguments) -> str:
    """What `python -m mdm.NAME` prints, started in `root`."""
    done = binaries.run(name, *arguments, folder=root)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def model(root):
    return TrainedModel.load(str(root / "run"))


def given(root, task):
    media = {"text": "number 3", "image": read_image(root / "media/pictures/3.png"), "audio": SOUND}
    return {modality: media[modality] for modality in TASKS[task].conditions}


@pytest.mark.parametrize("task", list(TASKS))
def test_every_task_generates_media(root, model, task):
    requests = [model.request(task, given(root, task)) for _ in range(2)]
    sampler = dataclasses.replace(DEFAULTS[task], steps=3)
    for document in model.generate(requests, sampler, [1, 2]).documents:
        media = model.decode(document)
        assert set(media) == set(TASKS[task].targets)
        if "image" in media:
            assert media["image"].shape == (8, 8, 3)
        if "audio" in media:
            assert media["audio"].rate == 16_000


def test_a_part_that_is_kept_stays(root, model):
    picture = read_image(root / "media/pictures/3.png")
    extent = Extent(kept={"image": parts("0:0.5")})
    request = model.request("text-to-image", {"text": "number 3", "image": picture}, None, extent)
    (document,) = model.generate([request], dataclasses.replace(DEFAULTS["text-to-image"], steps=3), [7]).documents
    codes = model.encode("image", picture)
    np.testing.assert_array_equal(document["image"][:1], codes[:1])


def test_a_given_target_goes_on(model):
    text = model.encode("text", "number")
    request = model.request("text", {"text": "number"}, None, Extent(kept={"text": parts("0.5:1")}, more={"text": 9}))
    assert request.given["text"].size == text.size + 9 and not request.exact
    known = request.known["text"]
    assert known.tolist() == [False] * (text.size // 2) + [True] * (text.size - text.size // 2) + [False] * 9
    speech = model.request("text-to-speech", {"text": "number", "audio": SOUND}, None, Extent(more={"audio": 3}))
    frames, books = model.encode("audio", SOUND).shape
    assert speech.known["audio"].tolist() == [[True] * books] * frames + [[False] * books] * -(-3 // books)


def test_lengths_that_are_not_asked_for_are_drawn_by_the_seed(model):
    """As rows of training are laid out; without a seed they are what is expected."""
    own = {**model.spans, "text-to-speech": {"audio": SpanLength(20.0, 0.0, 50, (-10.0, 0.0, 10.0))}}
    wide = dataclasses.replace(model, spans=own)
    room = lambda seed: math.prod(wide.request("text-to-speech", {"text": "number 3"}, seed).shapes["audio"])  # noqa: E731
    assert room(None) == (20 + expected_tail(20, "audio")) // 2 * 2 == room(None)  # whole frames of two codebooks
    drawn = [room(seed) for seed in range(400)]
    assert drawn[:20] == [room(seed) for seed in range(20)]
    shares = (np.arange(400) + 0.5) / 400
    content = np.array([own["text-to-speech"]["audio"].drawn(0, share) for share in shares])
    whole = content + tail_length(content, np.arange(400), "audio")
    assert stats.ks_2samp(drawn, whole - whole % 2).statistic < 0.08
    several = wide.requests("text-to-speech", {"text": "number 3"}, [1, None, 1])
    assert several[0].shapes == several[2].shapes != several[1].shapes
    exact = wide.requests("text-to-speech", {"text": "number 3"}, [1, 2], Extent(lengths={"audio": 8}))
    assert [request.shapes["audio"] for request in exact] == [(4, 2)] * 2


def test_the_length_of_speech_goes_with_the_text_that_is_made_with_it(model):
    own = {"text": SpanLength(5.0, 0.0, 30, (-4.0, 4.0)), "audio": SpanLength(0.0, 4.0, 60)}
    both = dataclasses.replace(model, spans={**model.spans, "joint-audio-text": own})
    shapes = [both.request("joint-audio-text", {}, seed).shapes for seed in range(60)]
    assert np.corrcoef([s["text"][0] for s in shapes], [s["audio"][0] for s in shapes])[0, 1] > 0.7
    short, long = (both.request("joint-audio-text", {}, 1, Extent(lengths={"text": n})) for n in (2, 12))
    assert short.shapes["audio"] < long.shapes["audio"]


def test_what_is_made_together_is_what_is_made_alone(model, monkeypatch):
    """In batches of like length, told in the order in which it was asked for."""
    monkeypatch.setattr(trained, "_ROWS", 2)
    requests = [model.request("text-to-speech", {"text": "3"}, None, Extent(lengths={"audio": n})) for n in (30, 4, 8)]
    sampler, seeds = SamplerSettings(steps=3), range(3)
    together = model.generate(requests, sampler, seeds)
    alone = [model.generate([request], sampler, [seed]) for request, seed in zip(requests, seeds, strict=True)]
    for number, one in enumerate(alone):
        np.testing.assert_array_equal(together.documents[number]["audio"], one.documents[0]["audio"])
        np.testing.assert_array_equal(together.turns[number]["audio"], one.turns[0]["audio"])
    assert int(together.calls.whole) == 2 * 3  # of two batches


def test_a_named_grid_serves_tasks_of_several_schedules(model):
    corruption = dataclasses.replace(model.settings.corruption, schedules={"text": "cosine"})
    own = dataclasses.replace(model, settings=dataclasses.replace(model.settings, corruption=corruption))
    requests = [
        own.request("text", {}, None, Extent(lengths={"text": 3})),
        own.request("text-to-speech", {"text": "3"}),
    ]
    assert len(own.generate(requests, SamplerSettings(steps=2, grid="uniform"), [0, 1]).documents) == 2
    with pytest.raises(Refusal, match="several schedules"):
        own.generate(requests, SamplerSettings(steps=2, grid="trained"), [0, 1])


def test_lengths_that_are_not_asked_for_fit_in_the_row(model):
    """Whatever the training data suggest: targets that may end anywhere share what is left."""
    long = {"text": SpanLength(60.0, 0.0, 90), "audio": SpanLength(80.0, 0.0, 90)}
    stretched = dataclasses.replace(model, spans={**model.spans, "joint-audio-text": long, "text-to-speech": long})
    requests = [stretched.request("joint-audio-text", {}), stretched.request("text-to-speech", {"text": "number 3"})]
    for request in requests:
        (batch,) = model.batches([request], ["a"], 1)
        assert batch.canvas.masked.sum() > 60
    sizes = [np.prod(requests[0].shapes[m]) for m in ("text", "audio")]
    assert 0.6 < sizes[0] / sizes[1] < 0.9
    exact = model.request("joint-audio-text", {}, None, Extent(lengths={"text": 3}))
    assert exact.shapes["text"] == (3,) and exact.exact == ("text",)


def test_a_run_that_never_hid_a_condition_is_told_when_it_is_guided(model, caplog):
    corruption = dataclasses.replace(model.settings.corruption, condition_drop=0.0)
    own = dataclasses.replace(model, settings=dataclasses.replace(model.settings, corruption=corruption))
    with caplog.at_level("WARNING"):
        own.generate([own.request("text-to-speech", {"text": "3"})], SamplerSettings(steps=1, guidance=2.0), [1])
    assert "never hid a condition" in caplog.text


def test_the_newest_checkpoint_or_the_one_that_is_asked_for(root, model):
    assert model.step == 3
    assert TrainedModel.load(str(root / "run"), step=2).step == 2
    with pytest.raises(Refusal, match=r"holds \[2, 3\]"):
        TrainedModel.load(str(root / "run"), step=7)


def test_training_leaves_its_log_in_the_run(root):
    assert "step 3 of 3: loss" in (root / "run/starts/1/log-0.txt").read_text()


def test_evaluation_writes_a_line_a_result(root):
    told = binary(root, "evaluate", "--workdir=run")
    lines = [json.loads(line) for line in (root / "run/evaluations/step-000000003.jsonl").read_text().splitlines()]
    assert len(lines) == 2 * 9  # each split: text alone, and four targets of each kind of pair
    assert all(np.isfinite(line["bits"]) and line["step"] == 3 for line in lines)
    assert "bits/token" in told and len({line["config"] for line in lines}) == 1


@pytest.mark.slow
def test_evaluation_shows_and_measures_what_every_task_makes(root):
    binary(root, "evaluate", "--workdir=run", "--report=report.html", "--pieces=1", "--generated=2")
    figures = [
        json.loads(line) for line in (root / "run/evaluations/step-000000003.generated.jsonl").read_text().splitlines()
    ]
    assert {figure["task"] for figure in figures} == set(TASKS)
    assert all(figure["step"] == 3 and figure["config"] and figure["documents"] <= 2 for figure in figures)
    page = (root / "report.html").read_text()
    assert page.count("<h3>") >= len(WINGS) and "data:audio/mpeg" in page and "data:image/png" in page


def test_the_binary_writes_files_and_how_they_were_made(root):
    (root / "prompts.txt").write_text('number 3\n{"prompt": "number 5", "seed": 40, "count": 2}\n')
    arguments = ["--prompts=prompts.txt", "--steps=2", "--grid=trained", "--batch=2", "--animate", "--output=out"]
    binary(root, "generate", "--workdir=run", "--task=text-to-image", *arguments)
    lines = [json.loads(line) for line in (root / "out/samples.jsonl").read_text().splitlines()]
    assert [line["number"] for line in lines] == [0, 1, 2] and [line["seed"] for line in lines] == [0, 40, 41]
    assert [line["prompt"] for line in lines] == ["number 3", "number 5", "number 5"]
    for line in lines:
        assert (line["sampler"]["steps"], line["sampler"]["grid"], line["grid_asked"]) == (2, "linear", "trained")
        assert line["schedule"] == "linear"
        assert line["step"] == 3 and line["batch"]["rows"] == 2 and line["batch"]["network_calls"]["whole"] == 2
        assert read_image(root / "out" / line["files"]["image"]).shape == (8, 8, 3)
        with Image.open(root / "out" / line["files"]["image-unmasking"]) as animation:
            assert animation.format == "GIF" and animation.n_frames > 1
    # The second batch found its program made.
    compiling = [line["batch"]["compilation_seconds"] for line in lines]
    assert compiling[2] < compiling[0] / 10
    assert (root / "out/00000-to-00002.png").exists()


def test_a_result_does_not_depend_on_its_batch(root, model):
    requests = [model.request("text-to-image", {"text": f"number {n}"}) for n in range(3)]
    sampler, seeds = dataclasses.replace(DEFAULTS["text-to-image"], steps=3), [7, 8, 7]
    made = []
    for most in (1, 3):
        own = {}
        for batch in model.batches(requests, ["a", "b", "c"], most):
            sampled = model.write(batch, requests, sampler, seeds)
            for number, document, turns in zip(batch.numbers, sampled.documents, sampled.turns, strict=True):
                assert set(turns["image"].flat) == {0, 1, 2} and turns["image"].shape == document["image"].shape
                own[number] = document["image"]
        made.append(own)
    for number in range(3):
        np.testing.assert_array_equal(made[0][number], made[1][number])


def test_tasks_that_a_run_cannot_do_are_told(model):
    (problem,) = model.task_problems("sing")
    assert "is not a task" in problem.reason
    without = dataclasses.replace(model, codecs={m: codec for m, codec in model.codecs.items() if m != "audio"})
    (problem,) = without.task_problems("text-to-speech")
    assert "text-to-speech" in problem.where and problem.value == "audio"
    untrained = dataclasses.replace(model, spans={task: own for task, own in model.spans.items() if task != "text"})
    with pytest.raises(Refusal, match="was not trained on it"):
        untrained.request("text", {}, None, Extent(lengths={"text": 5}))


def test_a_sampler_is_told_by_the_grid_that_the_task_was_trained_with(model):
    own = DEFAULTS["text-to-image"]
    assert model.resolved("text-to-image", dataclasses.replace(own, grid="trained")).grid == "linear"
    assert model.resolved("text-to-image", dataclasses.replace(own, grid="cosine")).grid == "cosine"
    corruption = dataclasses.replace(model.settings.corruption, schedule="adaptive", schedules={"text": "cosine"})
    adaptive = dataclasses.replace(model, settings=dataclasses.replace(model.settings, corruption=corruption))
    assert adaptive.resolved("text-to-image", dataclasses.replace(own, grid="trained")).grid == "linear"
    assert (corruption.name_of("text-to-image"), corruption.name_of("text")) == ("adaptive", "cosine")


def test_a_prompt_that_is_longer_than_a_row_is_told_by_name(model):
    requests = [model.request("text-to-speech", {"text": text}) for text in ("one", "one " * 200)]
    with pytest.raises(Refusal, match=r"^1 problem:\n  - line 2 = .*does not fit in a row of 96"):
        model.batches(requests, ["line 1", "line 2"], 4)


def test_a_damaged_codec_of_a_run_is_refused_by_name(root):
    path = root / "run/codecs/image/weights.npz"
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    try:
        with pytest.raises(Refusal, match=r"weights\.npz"):
            TrainedModel.load(str(root / "run"))
    finally:
        path.write_bytes(whole)
