"""The Python door, and what stands behind it: a run folder is enough, on any machine."""

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

import mdm
from mdm import checkout
from mdm.data import manifest
from mdm.door import Model
from mdm.evaluating import Evaluation, Plan
from mdm.evaluation.continuations import TextScoring
from mdm.evaluation.elbo import Scorer, Scores
from mdm.evaluation.result import Result
from mdm.evaluation.settings import EvaluationSettings
from mdm.model import attention
from mdm.problems import Refusal
from mdm.runs.folder import RunFolder
from mdm.sampling.defaults import DEFAULTS
from mdm.sampling.programs import Programs, Sampled
from mdm.sampling.sampler import Written
from mdm.sampling.settings import SamplerSettings
from mdm.sampling.steps import Calls
from mdm.tokens.vocabulary import Vocabulary
from mdm.trained import TrainedModel
from tests import made


def test_importing_the_package_imports_no_jax():
    code = "import sys, mdm; assert callable(mdm.load); assert not {'jax', 'flax', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1])


def test_it_is_the_newest_step_or_the_one_that_is_asked_for(root, model):
    assert model.step == 2 and model.tasks == ("text",)
    assert mdm.load(str(root / "run"), 1).step == 1
    with pytest.raises(Refusal, match=r"holds \[1, 2\]"):
        mdm.load(str(root / "run"), 3)


def test_weights_are_the_average_or_those_in_training(root, model):
    own = mdm.load(str(root / "run"), weights="parameters")
    ratio = jax.tree.map(lambda a, b: np.asarray(a / b), model.trained.parameters, own.trained.parameters)
    assert all(np.allclose(leaf, 1.1) for leaf in jax.tree.leaves(ratio))
    with pytest.raises(Refusal, match="weights"):
        mdm.load(str(root / "run"), weights="best")


def test_the_same_seed_writes_the_same(model):
    first, second = model.generate("text", count=2, seed=5, length=12, sampler={"steps": 3})
    assert set(first) == {"text"} and first != second
    assert model.generate("text", count=2, seed=6, length=12, sampler={"steps": 3})[0] == second


def test_a_sampler_is_given_whole_or_in_part(model):
    whole = dataclasses.replace(DEFAULTS["text"], steps=3, temperature=0.0)
    asked = {"count": 1, "seed": 5, "length": 12}
    assert model.generate("text", **asked, sampler=whole) == model.generate(
        "text", **asked, sampler={"steps": 3, "temperature": 0.0}
    )


def test_what_is_kept_of_a_given_target_is_known(model, monkeypatch):
    seen = []

    def batches(self, requests, *_):
        seen.extend(requests)
        raise LookupError

    monkeypatch.setattr(TrainedModel, "batches", batches)
    for asked in ({"text": "abcdefgh", "keep": "0:0.5"}, {"text": "abcdefgh", "more": 3}, {"length": 3}):
        with pytest.raises(LookupError):
            model.generate("text", **asked)
    assert seen[0].known["text"].tolist() == [True] * 4 + [False] * 4
    assert seen[1].known["text"].tolist() == [True] * 8 + [False] * 3
    assert seen[2].shapes == {"text": (3,)} and seen[2].exact == ("text",)


@pytest.mark.parametrize(
    "task, arguments, told",
    [
        ("music", {}, "is not a task"),
        ("text-to-image", {}, "needs text"),
        ("text", {"image": np.zeros((8, 8, 3), np.uint8)}, "is no part of it"),
        ("text", {"text": "abc"}, "keep"),
        ("text", {"text": "abc", "keep": 3}, "keep = 3: is not START:STOP"),
        ("text", {"text": "abc", "keep": "0:1"}, "leaves nothing to make of text"),
        ("text", {"text": "abc", "keep": "0:0.01"}, "keep = '0:0.01': keeps none"),
        (
            "text-to-image",
            {"text": "a", "image": np.zeros((8, 8, 3), np.uint8), "mask": "m.png"},
            "mask = 'm.png': is no array",
        ),
        ("text", {"sampler": ["steps"]}, r"sampler = \['steps'\]: is no settings"),
        ("text", {"sampler": SamplerSettings(steps="3")}, "sampler.steps"),
        ("text", {"sampler": {"stps": 3}}, "there is no such setting"),
        ("text", {"sampler": {"steps": -3}}, "sampler.steps"),
        ("text", {"sampler": {"steps": 8.0}}, "sampler.steps = 8.0: is not a whole number"),
        ("text", {"sampler": {"temperature": "1"}}, "is not a number"),
        ("text", {"sampler": {"guidance": 2.0}}, "no condition to be guided by"),
        ("text", {"seed": -1}, "seed = -1: is out of range"),
        ("text", {"count": 1.5}, "count = 1.5: is out of range"),
        ("text", {"text": "abc", "keep": "0.9:0.1"}, "is not START:STOP"),
        ("text-to-image", {"text": "abc", "length": 3}, "has one size"),
    ],
)
def test_what_cannot_be_made_is_refused(model, task, arguments, told):
    with pytest.raises(Refusal, match=told):
        model.generate(task, **arguments)


def test_documents_are_scored(model):
    short, long = model.score("text", [{"text": "abc"}, {"text": "abc" * 8}], samples=2)
    assert 0 < short.bits["text"] < long.bits["text"] and long.se_noise["text"] > 0
    assert 3 < short.tokens["text"] < long.tokens["text"]
    again = model.score("text", [{"text": "abc"}], samples=2)[0]
    assert again.bits["text"] == pytest.approx(short.bits["text"], rel=1e-5)
    assert model.trained.scorer(2).compilations == 1
    with pytest.raises(Refusal, match="longer than a row of 128"):
        model.score("text", [{"text": "abc" * 60}])
    with pytest.raises(Refusal, match="lacks text"):
        model.score("text", [{}])


def test_a_score_depends_on_its_document_alone(model):
    (alone,) = model.score("text", [{"text": "hello"}], samples=2)
    _, second, third = model.score("text", [{"text": "other"}, {"text": "hello"}, {"text": "hello"}], samples=2)
    for score in (second, third):
        assert score.bits["text"] == pytest.approx(alone.bits["text"], rel=1e-5)
        assert score.se_noise["text"] == pytest.approx(alone.se_noise["text"], rel=1e-3)


def test_a_task_that_the_run_was_not_trained_on_is_not_scored(model):
    untrained = Model(dataclasses.replace(model.trained, spans={"joint-audio-text": {}}))
    with pytest.raises(Refusal, match=r"text.*was not trained on it; it knows \('joint-audio-text',\)"):
        untrained.score("text", [{"text": "abc"}])


def test_texts_are_scored_behind_a_context(model):
    one, other = model.score_texts([("abc", "d"), ("abc", "e")], TextScoring("forward"))
    assert one.nats != other.nats and one.tokens == 1
    # All that may stand there, END included, shares a probability of 1.
    every = model.score_texts([("abc", chr(code)) for code in range(1, 128)], TextScoring("forward"))
    assert 0 < sum(np.exp(-score.nats) for score in every) < 1


def test_what_is_written_behind_a_text_says_what_of_it_was_seen(model, monkeypatch):
    seen = []

    def write(self, batch, requests, sampler, seeds):
        own = [requests[number] for number in batch.numbers]
        seen.extend(own)
        documents = [request.given for request in own]
        return Sampled(documents, documents, dataclasses.replace(sampler, steps=5), Calls(1, 0), 0.0, 0.0)

    monkeypatch.setattr(TrainedModel, "write", write)
    long, short = model.trained.continue_texts(["x" * 40 + "y" * 60, "abc"], 256, DEFAULTS["text"], [3, 4])
    assert bytes(seen[0].given["text"][seen[0].known["text"]].tolist()) == b"xxx" + b"y" * 60  # half of 128 - 2
    assert (long.cut, long.room, long.seed) == (37, 63, 3) and (short.cut, short.room, short.seed) == (0, 123, 4)
    assert long.sampler.steps == 5 and len(long.text) == 63


def figures(results):
    return [(r.documents, r.targets, r.bits, r.se_noise, r.se_data, r.unigram_bits) for r in results]


@pytest.fixture(scope="module")
def results(model):
    return model.evaluate()


def test_two_evaluations_agree_bit_for_bit(root, results):
    assert figures(mdm.load(str(root / "run")).evaluate()) == figures(results)
    assert len(results) == 2
    assert results[0].bits_per_byte == results[0].bits_per_character and results[0].bits_per_picture is None


def test_results_say_what_they_are_of(model, results):
    for r in results:
        assert (r.step, r.config, r.weights) == (model.step, model.trained.fingerprint, "ema") and r.time.startswith(
            "20"
        )
        assert (r.attention, r.compute_dtype) == (model.trained.network.settings.attention, "float32")
        assert r.versions["commit"] == checkout.commit()
        assert (r.by_document.step, r.by_document.config, r.by_document.weights) == (r.step, r.config, r.weights)


def test_results_keep_what_their_documents_cost(results):
    for r in results:
        own = r.by_document
        assert own.place == (r.split, "text", "text", "text", "likelihood", None) and own.seeds == r.seeds
        assert len(own.documents) == r.documents and own.targets.sum() == r.targets and own.data == r.data
        assert own.nats.mean(axis=0).sum() / r.targets / np.log(2) == pytest.approx(r.bits)
        assert "by_document" not in r.to_json() and Result.from_json(json.loads(json.dumps(r.to_json()))) == r


def test_checkpoints_are_compared_document_by_document(root, model, results):
    found = model.compare(mdm.load(str(root / "run"), 1))
    assert set(found) == {(split, "text", "text", "text") for split in ("train", "heldout")}
    own = found["heldout", "text", "text", "text"]
    assert own.documents == 4 and own.bits != 0 and own.se_data > 0
    assert model.compare(model)["heldout", "text", "text", "text"].bits == 0


def test_streams_that_share_a_task_are_compared_each_by_itself(model, results, monkeypatch):
    def evaluate(own, *_):
        others = [
            dataclasses.replace(r, stream="code", by_document=dataclasses.replace(r.by_document, stream="code"))
            for r in results
        ]
        return [*results, *others]

    monkeypatch.setattr(type(model), "evaluate", evaluate)
    found = model.compare(model)
    assert set(found) == {(s, stream, "text", "text") for s in ("train", "heldout") for stream in ("text", "code")}


def test_the_batch_changes_no_figure_beyond_rounding(model, results):
    """4 documents, 3 or 4 at once: the last batch is filled up, and weighs what it holds. 1e-5: sums in another order."""
    settings = dataclasses.replace(model.trained.settings.evaluation, batch_rows=4)
    for a, b in zip(figures(results), figures(model.evaluate(settings=settings)), strict=True):
        assert a == pytest.approx(b, rel=1e-5)


def test_a_run_trained_with_a_kernel_of_another_machine_is_read_here(tmp_path):
    """Head size 128 as splash wants it."""
    own = made.run(tmp_path, (1,), attention="splash", width=128, head_size=128)
    here = TrainedModel.load(str(own.path))
    assert here.settings.model.attention == "splash" and here.network.settings.attention == "blockwise"
    settings = EvaluationSettings(documents=2, samples=1, splits=("train",))
    (result,) = here.score(manifest.load(tmp_path / "set"), settings)
    assert np.isfinite(result.bits)  # tests/model/test_attention.py holds the kernels to one formula
    with pytest.raises(Refusal, match="runs on tpu"):
        TrainedModel.load(str(own.path), attention="splash")
    with pytest.raises(Refusal, match="no attention kernel"):
        TrainedModel.load(str(own.path), attention="flash")


def test_a_kernel_that_runs_here_is_kept():
    assert (
        attention.on_platform("splash", "tpu") == "splash" and attention.on_platform("reference", "tpu") == "reference"
    )
    assert attention.on_platform("cudnn", "tpu") == "blockwise"


def test_rows_are_laid_out_as_the_kernel_wants_them(root, monkeypatch):
    """On a TPU, splash takes rows in multiples of 128 only; here a kernel that wants the same stands in for it."""
    seen = []

    def scores(self, parameters, examples, task, lengths, *_):
        seen.extend(lengths)
        return Scores(np.ones((2, len(examples), 3)), np.ones((len(examples), 3), int))

    def program(self, sampler, layout, shapes):
        seen.append(shapes.masked.shape[1])
        return lambda parameters, canvas, seeds: Written(canvas, Calls(0, 0), np.zeros_like(canvas.rows.ids))

    monkeypatch.setattr(Scorer, "scores", scores)
    monkeypatch.setattr(Programs, "_program", program)
    picky = dataclasses.replace(attention.BACKENDS["reference"], length_multiple=128)
    monkeypatch.setitem(attention.BACKENDS, "reference", picky)
    own = mdm.load(str(root / "run"))
    own.evaluate()
    own.generate("text", length=5)
    own.score("text", [{"text": "a"}])
    own.score_texts([("a", "b")])
    assert len(seen) == 5 and set(seen) == {128}


def copied(root, tmp_path, name="run"):
    shutil.copytree(root / "run", tmp_path / name)
    return tmp_path / name


@pytest.mark.parametrize(
    "damage, told",
    [
        (lambda run: shutil.rmtree(run / "codecs"), r"codecs: cannot be read .* restore it"),
        (lambda run: (run / "spans.json").unlink(), r"spans\.json: does not exist"),
        (lambda run: (run / "spans.json").write_text("[]"), r"spans\.json: does not tell .* restore it"),
        (lambda run: (run / "spans.json").write_text('{"text": []}'), r"spans\.json: does not tell .* restore it"),
        (
            lambda run: (run / "spans.json").write_text('{"text": {"text": {"offset": 1.0}}}'),
            r"spans\.json: does not tell .*slope.* restore it",
        ),
        (lambda run: (run / "spans.json").write_text("[" * 100_000), r"spans\.json: cannot be read .* restore"),
    ],
)
def test_a_run_that_was_not_copied_whole_is_refused_by_the_file(root, tmp_path, damage, told):
    run = copied(root, tmp_path)
    damage(run)
    with pytest.raises(Refusal, match=told):
        mdm.load(str(run))


def test_a_run_that_was_copied_without_its_data_is_told_how_to_name_them(root, tmp_path, model):
    run = copied(root, tmp_path)
    settings = json.loads((run / "config.json").read_text())
    settings["data"]["directory"] = str(tmp_path / "nowhere")
    (run / "config.json").write_text(json.dumps(settings))
    own, one = mdm.load(str(run)), EvaluationSettings(documents=1, samples=1, splits=("train",))
    evaluator = Evaluation(RunFolder(run), tmp_path / "out", Plan(evaluation={"documents": 1}))
    for ask in (own.evaluate, lambda: own.compare(model), lambda: evaluator.evaluate(2)):
        with pytest.raises(Refusal, match=r"nowhere/manifest\.json: .*is not here -> .*--data=DIR.*data=DIR"):
            ask()
    assert len(own.evaluate(str(root / "set"), one)) == 1
    with pytest.raises(Refusal, match=r"elsewhere/manifest\.json: there is no prepared data set"):
        own.evaluate(str(tmp_path / "elsewhere"))


def test_a_folder_without_a_checkpoint_is_refused(root, tmp_path):
    run = copied(root, tmp_path)
    shutil.rmtree(run / "checkpoints")
    with pytest.raises(Refusal, match="holds no whole checkpoint"):
        mdm.load(str(run))
    with pytest.raises(Refusal, match=r"config\.json"):
        mdm.load(str(tmp_path / "nothing"))


def test_a_checkpoint_of_another_vocabulary_is_refused(root, tmp_path):
    run = copied(root, tmp_path)
    (run / "vocabulary.json").write_text(Vocabulary.of({"text": (100,)}).dumps())
    with pytest.raises(Refusal, match="does not fit this model"):
        mdm.load(str(run))


def test_data_of_another_vocabulary_are_refused(model, tmp_path):
    data = made.data_set(tmp_path / "set")
    dataclasses.replace(data, vocabulary=Vocabulary.of({"text": (200,)})).save()
    with pytest.raises(Refusal, match="another vocabulary"):
        model.evaluate(str(tmp_path / "set"))


def test_data_of_another_codec_of_the_same_size_are_refused(model, tmp_path):
    data = made.data_set(tmp_path / "set")
    record = {"kind": "bytes", "fingerprint": model.trained.codecs["text"].fingerprint, "ceiling": {}}
    assert model.trained.material(dataclasses.replace(data, codecs={"text": record, "image": record}))
    other = dataclasses.replace(data, codecs={"text": record | {"kind": "bpe", "fingerprint": "b" * 16}})
    with pytest.raises(
        Refusal, match=rf"codecs\.text = 'bpe {'b' * 16}': .* bytes bytes -> give the run's own data set"
    ):
        model.trained.material(other)


def test_a_character_that_rows_cut_in_two_is_counted_once(model):
    codes = model.trained.encode("text", "für 日")
    counted = [model.trained._units("text", part) for part in np.split(codes, [2, 6])]  # inside ü, inside 日
    assert [sum(own[unit] for own in counted) for unit in ("byte", "character")] == [8, 5]
