"""`mdm.evaluate` as a whole: another machine, other devices, a run that is still being trained."""

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import mdm
from mdm import config, evaluating
from mdm.data import manifest
from mdm.evaluating import Evaluation, Plan
from mdm.evaluation.continuations import TextScoring
from mdm.evaluation.follower import Follower
from mdm.evaluation.measures.registry import MEASURES
from mdm.evaluation.ordered import OrderSettings
from mdm.problems import Refusal
from mdm.runs.folder import RunFolder
from mdm.sampling.defaults import DEFAULTS
from tests import binaries, made

ROOT = Path(__file__).parents[1]


TWO_DEVICES = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}


def start(module, *arguments):
    command = [sys.executable, "-m", module, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("evaluating")
    made.run(root)
    good = {"context": "abc", "choices": ["d", "e"], "answer": 0}
    (root / "good.jsonl").write_text(json.dumps(good) + "\n")
    (root / "bad.jsonl").write_text(json.dumps(good) + "\n{}\n")
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


def decided(root, **changes):
    """What the parts are made with, by name; nothing is made."""
    own = Evaluation(RunFolder(root / "run"), root / "nowhere", Plan(generated=1, **changes))
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
    monkeypatch.setattr(manifest.Manifest, "fingerprint", "other")
    assert changed() == {"likelihood", "orders", "generated"}
    monkeypatch.undo()
    file.write_text(file.read_text() * 2)
    assert changed() == {"choices.c"}


def test_other_orders_are_made_although_there_are_some(root, here, tmp_path):
    shutil.copytree(root / "here", tmp_path / "here")
    plan = Plan(orders=OrderSettings(draws=3, documents=2))
    own = Evaluation(RunFolder(root / "run"), tmp_path / "here", plan)
    assert not own.finished(1)
    own.evaluate(1)
    own.close()
    assert own.finished(1) and len(own.folder.read(1, "orders")[0]["seeds"]) == 3
    assert own.folder.read(1) == here.folder.read(1)  # its likelihood is as it was


def test_every_line_can_be_made_again_from_what_it_says(here):
    for part in ("likelihood", "orders"):
        for line in here.folder.read(2, part):
            told = ("step", "config", "weights", "data", "documents", "samples", "seeds", "versions", "device", "time")
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
    monkeypatch.setattr(evaluating.generated, "measure", lambda *given: asked.append(given) or [])
    monkeypatch.setattr(evaluating.perplexity, "under", lambda folder: folder)
    own = Evaluation(RunFolder(root / "run"), tmp_path, Plan(generated=3, language_model="lm"))
    for step in (1, 2):
        own._generated(own._at(step), None)
    (one, _, first, *_, measures), (two, _, second, *_) = asked
    assert (one.step, two.step) == (1, 2) and one._programs is two._programs
    assert first is second and first._most == 3 and measures == (*MEASURES, "lm")


def test_a_language_model_without_anything_to_judge_is_refused(root, tmp_path, monkeypatch):
    monkeypatch.setattr(evaluating.perplexity, "under", lambda folder: folder)
    with pytest.raises(Refusal, match="--language_model = 'lm': nothing is written .* --generated=N"):
        Evaluation(RunFolder(root / "run"), tmp_path, Plan(generated=0, language_model="lm")).evaluate(1)


def test_a_plan_that_cannot_be_followed_is_refused_before_anything_is_read(tmp_path):
    plan = Plan(orders=OrderSettings("forward", 2), choices=("a/x.jsonl", "b/x.jsonl"))
    with pytest.raises(Refusal) as refusal:
        Evaluation(RunFolder(tmp_path / "run"), tmp_path / "out", plan)
    assert len(refusal.value.problems) == 2


@pytest.mark.slow
def test_beside_a_real_training_that_deletes_its_old_checkpoints(tmp_path):
    """The follower starts before the run's folder is there, and ends by itself."""
    made.data_set(tmp_path / "set", 60)
    value = config.to_dict(made.settings(tmp_path / "set"))
    value["training"] |= {"batch_size": 4, "tokens": 120 * 4 * made.ROW, "log_every": 100}
    value["checkpoints"] = {"every": 4, "latest": 2, "keep_every": 20}
    (tmp_path / "config.py").write_text(
        f"from ml_collections import ConfigDict\n\ndef get_config():\n    return ConfigDict({value!r})\n"
    )
    follower = start("mdm.evaluate", "--workdir", tmp_path / "run", "--follow")
    trainer = start("mdm.train", "--config", tmp_path / "config.py", "--workdir", tmp_path / "run")
    try:
        _, error = trainer.communicate(timeout=500)
        assert trainer.returncode == 0, error[-3000:]
        _, error = follower.communicate(timeout=500)
        assert follower.returncode == 0, error[-3000:]
    finally:
        for process in (trainer, follower):
            process.kill()
    run = RunFolder(tmp_path / "run")
    stayed = {int(path.name) for path in run.checkpoints.iterdir() if path.name.isdigit()}
    assert {20, 40, 60, 80, 100, 116, 120} == stayed
    done = set(Evaluation(run, run.evaluations, Plan()).folder.steps())
    assert stayed <= done, (stayed, done)  # nothing that stayed is missed; some that went were caught in time
    bits = [
        json.loads((run.evaluations / f"step-{step:09d}.jsonl").read_text().splitlines()[0])["bits"]
        for step in (20, 120)
    ]
    assert bits[1] < bits[0]
    assert "Traceback" not in error
