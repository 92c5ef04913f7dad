"""An evaluation as a whole: its anchors are exact, and nothing about how it is run changes a figure."""

import dataclasses

import numpy as np
import pytest

from mdm.data.streams import StreamSettings
from mdm.evaluation import statistics, table, task
from mdm.evaluation.documents import choose
from mdm.evaluation.elbo import Scorer
from mdm.evaluation.incomplete import Incomplete
from mdm.evaluation.material import Material
from mdm.evaluation.result import Result
from mdm.evaluation.settings import EvaluationSettings
from mdm.evaluation.task import evaluate, tasks_of
from mdm.problems import Refusal
from mdm.tokens.vocabulary import Vocabulary
from tests.data import synthetic
from tests.evaluation.conftest import SETTINGS, STREAMS, Network

ROW = 96


def run(network, manifest, factor=0.0, **changes):
    settings = dataclasses.replace(SETTINGS, **changes)
    return evaluate(network, np.float32(factor), manifest, settings, ROW, STREAMS)


@pytest.fixture(scope="module")
def results(network, manifest):
    return run(network, manifest, 0.5)


def test_every_task_split_and_target_modality_has_a_line(results):
    found = [(r.split, r.stream, r.task, r.modality) for r in results]
    per_split = [("text", "text", "text"), ("image-text", "text-to-image", "image"), ("image-text", "joint-image-text", "text"),
                 ("image-text", "joint-image-text", "image"), ("audio-text", "speech-to-text", "text")]  # fmt: skip
    assert sorted(found) == sorted((split, *own) for split in ("train", "heldout") for own in per_split)


def test_a_zero_head_pays_exactly_log2_of_each_range(network, manifest):
    """A joint task on average: how many of the k hidden positions are of which modality is left to chance."""
    sizes = {"text": 201, "image": 300}
    for result in run(network, manifest, splits=("train",)):
        uniform = np.log2(sizes[result.modality])
        assert result.uniform_bits == pytest.approx(uniform, rel=1e-6)
        if result.task.startswith("joint"):
            assert abs(result.bits - uniform) < 5 * result.se_noise
            continue
        assert result.bits == pytest.approx(uniform, rel=1e-5)
        assert result.se_noise == pytest.approx(0, abs=1e-5)
        assert result.condition_worth_bits is None or result.condition_worth_bits == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("batch_rows", [1, 3, 12])
def test_the_batch_changes_no_figure(network, manifest, results, batch_rows):
    for a, b in zip(results, run(network, manifest, 0.5, batch_rows=batch_rows), strict=True):
        assert (a.documents, a.targets, a.groups) == (b.documents, b.targets, b.groups)
        assert a.bits == pytest.approx(b.bits, rel=1e-6) and a.se_noise == pytest.approx(b.se_noise, rel=1e-3)


def test_another_seed_is_other_noise_over_the_same_documents(network, manifest, results):
    other = run(network, manifest, 0.5, seed=1)
    assert all(a.targets == b.targets and a.bits != b.bits for a, b in zip(results, other, strict=True))


def test_the_error_of_the_noise_is_the_spread_over_50_repeats(network, manifest):
    """50 evaluations with other noise, each of 2 seeds: of a standard deviation of 50 draws the error is a tenth."""
    material = Material(network, manifest, SETTINGS, ROW, STREAMS)
    examples = material.examples("text", "heldout")
    seeds = EvaluationSettings(repeats=100).seeds
    scores = Scorer(network, SETTINGS.samples).scores(np.float32(2), examples, "text", (ROW,), 12, seeds)
    nats, targets = scores.nats[:, :, 0].reshape(50, 2, -1), scores.targets[:, 0]
    groups = [example.group for example in examples]
    own = [statistics.bits_per_token(repeat, targets, groups) for repeat in nats]
    told = np.sqrt(np.mean([estimate.se_noise**2 for estimate in own]))
    assert 0.7 < np.std([estimate.bits for estimate in own], ddof=1) / told < 1.3


def test_a_condition_that_is_not_looked_at_is_worth_nothing(manifest):
    blind = Network(manifest.vocabulary, sees_condition=False)
    worths = [r.condition_worth_bits for r in run(blind, manifest, 0.5) if r.condition_worth_bits is not None]
    assert worths and max(map(abs, worths)) < 1e-6


def test_what_a_condition_is_worth_is_told_for_conditional_tasks_alone(results):
    told = {r.task for r in results if r.condition_worth_bits is not None}
    assert told == {"text-to-image", "speech-to-text"}
    for r in results:
        if r.task in told:
            assert r.condition_worth_bits == pytest.approx(r.shuffled_bits - r.bits, abs=1e-6)  # all found a partner
            assert r.shuffled_documents == r.documents


def test_results_survive_json_and_make_tables(results):
    assert [Result.from_json(r.to_json()) for r in results] == results
    lines = table.plain(results).splitlines()
    assert len(lines) == len(results) + 2 and len({len(line) for line in lines[1:2]}) == 1
    assert "bits/byte" not in lines[0]  # empty throughout
    assert table.markdown(results).count("\n") == len(results) + 1


def test_bits_by_unit_count_all_bits_over_all_units(network, manifest):
    def units_of(modality, codes):
        return {"text": {"byte": 2 * codes.size}, "image": {"picture": 1}, "audio": {"second": codes.size / 50}}[
            modality
        ]

    results = evaluate(network, np.float32(0), manifest, SETTINGS, ROW, STREAMS, units_of=units_of)
    text, image = (next(r for r in results if r.task == t and r.split == "heldout") for t in ("text", "text-to-image"))
    examples = choose(manifest, "text", STREAMS["text"], "heldout", SETTINGS.documents, ROW)
    size = 2 * sum(example.content["text"].size for example in examples)
    assert text.bits_per_byte == pytest.approx(np.log2(201) * text.targets / size, rel=1e-5)
    assert image.bits_per_picture == pytest.approx(16 * np.log2(300), rel=1e-5) and image.bits_per_byte is None
    assert text.perplexity == pytest.approx(201, rel=1e-4)


def test_a_damaged_shard_costs_the_tasks_of_its_stream_and_no_others(network, tmp_path):
    damaged = synthetic.write(tmp_path / "set", documents=40)
    (shard,) = damaged.streams["audio-text"].shards["heldout"]
    path = tmp_path / "set" / shard.file
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])
    material = Material(network, damaged, SETTINGS, ROW, STREAMS)
    tasks = tasks_of(STREAMS, ("heldout",))
    with pytest.raises(Incomplete, match=shard.file) as refusal:
        task.run(material, tasks, np.float32(0))
    assert refusal.value.missing == ("heldout/audio-text/speech-to-text/likelihood",)
    assert {r.task for r in refusal.value.results} == {"text", "text-to-image", "joint-image-text"}
    path.write_bytes(whole)
    assert len(task.run(material, tasks, np.float32(0))) == 5  # it is asked for again


def test_what_does_not_fit_together_is_refused_at_once(network, manifest):
    with pytest.raises(Refusal) as refusal:
        evaluate(Network(Vocabulary.of({"text": (3,)})), np.float32(0), manifest, EvaluationSettings(repeats=1), ROW,
                 {"music": StreamSettings({"text": 1.0})})  # fmt: skip
    assert next(p.where for p in refusal.value.problems) == "evaluation.repeats"
    assert {"data.streams.music"} < {p.where for p in refusal.value.problems}


@pytest.mark.parametrize(
    "change",
    [{"documents": 0}, {"samples": 0}, {"repeats": 1}, {"batch_rows": 0}, {"splits": ("test",)}, {"splits": ()},
     {"splits": ("train", "train")}, {"unigram_documents": 0}],
)  # fmt: skip
def test_impossible_settings_are_named(change):
    (problem,) = EvaluationSettings(**change).problems("evaluation")
    assert problem.where == f"evaluation.{next(iter(change))}"
