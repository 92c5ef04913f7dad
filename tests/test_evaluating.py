"""Evaluations of a run: another machine, other devices, steps that are written again."""

import dataclasses
import json
import re
import shutil
from types import MappingProxyType

import pytest

import mdm
from mdm import evaluating
from mdm.data import manifest
from mdm.data.exhibits import Exhibit
from mdm.evaluating import Evaluation, Plan
from mdm.evaluation import writers
from mdm.evaluation.continuations import TextScoring
from mdm.evaluation.follower import Follower
from mdm.evaluation.measures.registry import MEASURES
from mdm.evaluation.ordered import OrderSettings
from mdm.problems import Refusal
from mdm.runs.folder import RunFolder
from mdm.sampling.defaults import DEFAULTS
from tests import binaries, event_files, made

TWO_DEVICES = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}


@pytest.fixture(scope="module")
def root(root):
    made.questions(root)
    return root


PLAN = Plan(orders=OrderSettings(draws=2, documents=2))


@pytest.fixture(scope="module")
def here(root):
    """An evaluation of all steps in this process, on one device."""
    own = Evaluation(RunFolder(root / "run"), root / "here", PLAN)
    Follower(RunFolder(root / "run"), own.evaluate, own.finished).catch_up()
    own.close()
    return own


def files(folder):
    return {p.relative_to(folder): (p.stat().st_mtime_ns, p.read_bytes()) for p in folder.rglob("*") if p.is_file()}


def test_every_step_is_evaluated_once_and_the_run_is_only_read(root, here):
    before = files(root / "run")
    own = Evaluation(RunFolder(root / "run"), root / "here", PLAN)
    assert here.folder.steps() == [1, 2] and own.finished(1) and own.finished(2)
    assert not Evaluation(RunFolder(root / "run"), root / "here", Plan(choices=("c.jsonl",))).finished(1)
    results = files(root / "here")
    Follower(RunFolder(root / "run"), own.evaluate, own.finished).catch_up()
    assert own._model is None  # not even the parameters were read
    assert files(root / "here") == results
    assert files(root / "run") == before


def decided(root, evaluation=MappingProxyType({}), **changes):
    """What the parts are made with, by name; nothing is made. evaluation: changes of its settings."""
    own = Evaluation(
        RunFolder(root / "run"), root / "nowhere", Plan(evaluation={"generated": 1, **evaluation}, **changes)
    )
    return {part.name: part.made_with().fingerprint for part in own._parts}


def test_a_part_hangs_on_what_decides_its_figures_and_on_nothing_else(root, tmp_path, monkeypatch):
    orders, more = OrderSettings(draws=2, documents=2), OrderSettings(draws=8, documents=2)
    file = tmp_path / "c.jsonl"
    shutil.copy(root / "good.jsonl", file)
    base = decided(root, orders=orders, choices=(str(file),))
    changed = lambda **changes: {  # noqa: E731
        name
        for name, mark in decided(root, **({"orders": orders, "choices": (str(file),)} | changes)).items()
        if mark != base[name]
    }
    assert not changed(attention="reference") and changed(orders=more) == {"orders"}
    assert changed(weights="parameters") == set(base)
    assert changed(scoring=TextScoring(samples=3)) == {"choices.c"}
    text = dataclasses.replace(DEFAULTS["text"], steps=3)
    assert changed(samplers={**DEFAULTS, "text": text}) == {"generated"}
    assert changed(evaluation={"samples": 3}) == {"likelihood"} and not changed(evaluation={"batch_rows": 1})
    assert changed(evaluation={"documents": 3}) == {"likelihood", "orders"}
    assert changed(evaluation={"splits": ("heldout",)}) == {"likelihood", "orders", "generated"}
    assert "generated" not in changed(evaluation={"splits": ("heldout", "train")})
    assert changed(evaluation={"seed": 3}) == {"likelihood", "orders", "generated"}
    monkeypatch.setattr(manifest.Manifest, "fingerprint", "other")
    assert changed() == {"likelihood", "orders", "generated"}
    monkeypatch.undo()
    file.write_text(file.read_text() * 2)
    assert changed() == {"choices.c"}


@pytest.mark.parametrize("splits", [("heldout",), ("train", "heldout")])
def test_media_are_made_for_the_splits_that_are_evaluated(root, tmp_path, monkeypatch, splits):
    read = lambda directory, stream, split: [Exhibit(stream, split, "a", {"text": "a"})]  # noqa: E731
    monkeypatch.setattr(evaluating.exhibits, "read", read)
    plan = Plan(evaluation={"generated": 1, "splits": splits})
    own = Evaluation(RunFolder(root / "run"), tmp_path, plan)
    assert set(own._originals["text"].of("text")) == set(splits)
    # A part of an earlier version, which made all splits and does not say so, is as good as one of all splits.
    assert ("splits" in own._decisions.generated().settings) == (len(splits) == 1)


def test_other_orders_are_made_although_there_are_some(root, here, tmp_path):
    shutil.copytree(root / "here", tmp_path / "here")
    plan = Plan(orders=OrderSettings(draws=3, documents=2))
    own = Evaluation(RunFolder(root / "run"), tmp_path / "here", plan)
    assert not own.finished(1)
    own.evaluate(1)
    own.close()
    assert own.finished(1) and len(own.folder.read(1, "orders")[0]["seeds"]) == 3
    assert own.folder.read(1) == here.folder.read(1)  # its likelihood is as it was


def test_a_step_that_was_written_again_is_evaluated_again(root, here, tmp_path):
    """A run that is begun anew in its folder, by other settings: the follower beside it goes on."""
    for name in ("run", "here"):
        shutil.copytree(root / name, tmp_path / name)
    run = RunFolder(tmp_path / "run")
    own = Evaluation(run, tmp_path / "here", PLAN)
    follower = Follower(run, own.evaluate, own.finished)
    follower.catch_up()
    assert own._model is None and own.folder.read(2) == here.folder.read(2)  # a copy is the same checkpoint
    before, lines = own._at(2), own.folder.read(1, "orders")
    own.folder.lines(1, "orders").write_text(
        json.dumps({**lines[0], "checkpoint": None}) + "\n"
    )  # an earlier version's
    for folder in (run.checkpoints / "1", run.checkpoints / "2"):
        shutil.rmtree(folder)
    made.run(tmp_path / "other", steps=(1, 2), seed=3)
    for step in ("1", "2"):
        shutil.copytree(tmp_path / "other" / "run" / "checkpoints" / step, run.checkpoints / step)
    assert own._at(2) is not before and own._at(2).settings is before.settings
    settings = json.loads(run.config.read_text())
    settings["training"]["tokens"] *= 2
    run.write_json(run.config, settings)
    assert not own.finished(2)
    follower.catch_up()
    own.close()
    for part in ("likelihood", "orders"):
        (new, *_), (old, *_) = own.folder.read(2, part), here.folder.read(2, part)
        assert new["bits"] != old["bits"] and new["checkpoint"] != old["checkpoint"] and new["config"] != old["config"]
    assert own.folder.read(1)[0]["bits"] != here.folder.read(1)[0]["bits"]
    assert own.folder.read(1, "orders") == [{**lines[0], "checkpoint": None}]  # it does not say: it is kept
    assert own.finished(1) and own.finished(2)


def test_settings_that_are_written_again_as_they_were_cost_nothing(root, tmp_path):
    """As every start of a trainer does."""
    shutil.copytree(root / "run", tmp_path / "run")
    run = RunFolder(tmp_path / "run")
    own = Evaluation(run, tmp_path / "out", PLAN)
    model, parts = own._at(1), own._parts
    run.write_json(run.config, json.loads(run.config.read_text()))
    assert own._at(1) is model and own._parts is parts
    assert own._at(2)._programs is model._programs


def test_every_line_can_be_made_again_from_what_it_says(here):
    for part in ("likelihood", "orders"):
        for line in here.folder.read(2, part):
            told = (
                "step",
                "checkpoint",
                "config",
                "weights",
                "data",
                "documents",
                "samples",
                "seeds",
                "versions",
                "device",
                "time",
            )
            assert all(line[key] not in (None, "", []) for key in told), line
    table = here.folder.table.read_text()
    assert "Step 2; weights ema" in table and "random x 2" in table


def test_compiled_once_for_all_steps(here):
    assert here._material._scorer.compilations == len(here._material._lengths)


def test_offline_from_a_copied_folder_on_other_devices(root, here, tmp_path):
    """Sums over two devices are taken in another order: 1e-5 of a figure. One bad file costs only itself."""
    for name in ("run", "set"):
        shutil.copytree(root / name, tmp_path / name)
    arguments = ["--workdir", tmp_path / "run", "--data", tmp_path / "set", "--all", "--orders=2", "--order_documents=2",
                 "--choices", root / "bad.jsonl", "--choices", root / "good.jsonl"]  # fmt: skip
    for hidden in ("run", "set"):
        (root / hidden).rename(root / f"away-{hidden}")
    try:
        done = binaries.run("evaluate", *map(str, arguments), environment=TWO_DEVICES)
    finally:
        for hidden in ("run", "set"):
            (root / f"away-{hidden}").rename(root / hidden)
    assert done.returncode == 2 and "bad.jsonl: line 2" in done.stderr, done.stderr
    own = Evaluation(RunFolder(tmp_path / "run"), tmp_path / "run" / "evaluations", Plan()).folder
    assert own.steps() == [1, 2] and done.stdout.count("bits/token") == 2
    for part in ("likelihood", "orders"):
        for a, b in zip(here.folder.read(2, part), own.read(2, part), strict=True):
            assert a["device"].endswith("x1") and b["device"].endswith("x2")
            assert (a["documents"], a["targets"], a["seeds"]) == (b["documents"], b["targets"], b["seeds"])
            for figure in ("bits", "unigram_bits", "bits_per_byte"):
                assert a[figure] == pytest.approx(b[figure], rel=1e-5), figure
    assert not own.finished(1, "choices.bad") and own.read(2, "choices.good")[0]["questions"] == 1


def test_other_devices_write_the_same(root, here, tmp_path):
    """Three rows are filled up to be cut over two devices."""
    arguments = [
        "--workdir",
        root / "run",
        "--task=text",
        "--count=3",
        "--length=12",
        "--steps=3",
        "--output",
        tmp_path,
    ]
    done = binaries.run("generate", *map(str, arguments), environment=TWO_DEVICES)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (tmp_path / "samples.jsonl").read_text().splitlines()]
    assert [(line["device"], line["batch"]["rows"]) for line in lines] == [("cpu x2", 4)] * 3
    written = mdm.load(str(root / "run")).generate("text", count=3, length=12, sampler={"steps": 3})
    assert [{"text": (tmp_path / line["files"]["text"]).read_bytes().decode()} for line in lines] == written


def test_steps_share_programs_originals_and_measures(root, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(evaluating.generated, "measure", lambda *given, **more: asked.append(given) or [None])
    monkeypatch.setattr(evaluating.perplexity, "under", lambda folder: folder)
    own = Evaluation(
        RunFolder(root / "run"), tmp_path, Plan(evaluation={"generated": 3, "seed": 5}, language_model="lm")
    )
    for step in (1, 2):
        own._generated(own._at(step), None)
    (one, _, first, _, measures, seed), (two, _, second, *_) = asked
    assert (one.step, two.step) == (1, 2) and one._programs is two._programs
    assert first is second and first._most == 3 and measures == (*MEASURES, "lm") and seed == 5


LINES = [
    {"step": step, "tokens": 1e6 * step, "seconds": 60.0, "tokens_per_second": 100.0 * step, "input_wait_share": 0.0,
     "elbo_bits/text": 8.0 - step, "share_of_rows/text": 1.0, "share_of_targets/text": 1.0}
    for step in (1, 2)
]  # fmt: skip


@pytest.fixture
def trained(root):
    """The run with a log of two steps."""
    log = root / "run" / "metrics.jsonl"
    log.write_text("".join(json.dumps(line) + "\n" for line in LINES))
    yield root
    log.unlink()


def test_the_report_is_of_the_step_that_is_asked_for_with_the_log_up_to_it(trained, here):
    for step, told in ((1, ("step 1", "1,000,000", "1.0 min")), (None, ("step 2", "2,000,000", "2.0 min"))):
        here.report(str(trained / "report.html"), 1, step=step)
        page = (trained / "report.html").read_text()
        assert all(f"<dd>{text}</dd>" in page for text in told), step
    with pytest.raises(Refusal, match="= 3: there is no finished evaluation of this step"):
        here.report(str(trained / "report.html"), 1, step=3)


def test_the_report_compares_steps_and_runs_and_its_gallery_is_watched(trained, here, tmp_path):
    other = tmp_path / "other" / "run"
    other.mkdir(parents=True)
    settings = json.loads((trained / "run" / "config.json").read_text())
    settings["training"]["tokens"] *= 2
    del settings["guards"]  # of an earlier version
    (other / "config.json").write_text(json.dumps(settings))
    shutil.copytree(trained / "here", other / "evaluations")
    here.report(str(tmp_path / "report.html"), 1, step=2, others=[str(other)])
    page = (tmp_path / "report.html").read_text()
    assert "How its steps compare" in page and "In given orders" in page
    section = page.split("Beside other runs")[1]
    assert "other/run" in section and "+0.000" in section and "document by document" in section
    assert re.findall(r'<td class="t">([a-z_.]+)</td><td class="t">(\d+)</td><td class="t">(\d+)</td>', section) == [
        ("training.tokens", str(4 * made.ROW), str(8 * made.ROW))
    ]
    tags = {(event.step, value.tag) for event in event_files.read(here.folder.events) for value in event.summary.value}
    assert (2, "gallery/from-nothing/text/text/text/text_summary") in tags
    assert (1, "likelihood/heldout/text/text/text/bits") in tags


def test_a_language_model_without_anything_to_judge_is_refused(root, tmp_path, monkeypatch):
    monkeypatch.setattr(evaluating.perplexity, "under", lambda folder: folder)
    with pytest.raises(Refusal, match="--language_model = 'lm': nothing is written .* --generated=N"):
        Evaluation(RunFolder(root / "run"), tmp_path, Plan(language_model="lm")).evaluate(1)


def test_a_plan_that_cannot_be_followed_is_refused_before_anything_is_read(tmp_path):
    plan = Plan(orders=OrderSettings("forward", 2), choices=("a/x.jsonl", "b/x.jsonl"))
    with pytest.raises(Refusal) as refusal:
        Evaluation(RunFolder(tmp_path / "run"), tmp_path / "out", plan)
    assert len(refusal.value.problems) == 2
    for changes, told in (({"document": 3}, "documents"), ({"repeats": 1}, "below 2"), ({"samples": 1.5}, "whole")):
        with pytest.raises(Refusal, match=told):
            Evaluation(RunFolder(tmp_path / "run"), tmp_path / "out", Plan(evaluation=changes))


def test_weights_and_biases_that_is_missing_is_told_before_anything_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(writers.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Refusal, match=r"--wandb = 'project'.*mdm\[wandb\]"):
        Evaluation(RunFolder(tmp_path / "nowhere"), tmp_path / "out", Plan(), "project")


def test_a_data_set_without_originals_is_refused_for_what_is_generated(root, tmp_path):
    own = Evaluation(RunFolder(root / "run"), tmp_path, Plan(evaluation={"generated": 2}))
    with pytest.raises(Refusal, match="keeps no originals"):
        own.evaluate(1)
    own.close()
    assert own.folder.finished(1) and not own.finished(1) and not own.folder.finished(1, "generated")
