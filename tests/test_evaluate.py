"""The binary `mdm.evaluate`: its flags, its codes, and a follower beside a real training."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mdm import config
from mdm.evaluating import Evaluation, Plan
from mdm.evaluation.settings import EvaluationSettings
from mdm.runs.folder import RunFolder
from tests import binaries, made


@pytest.fixture(scope="module")
def root(root):
    made.questions(root)
    return root


ROOT = Path(__file__).parents[1]


def start(module, *arguments):
    command = [sys.executable, "-m", module, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_refused_part_costs_neither_the_other_parts_nor_the_report(root, tmp_path):
    arguments = ["--workdir", root / "run", "--step=1", "--output", tmp_path / "out", "--choices", root / "bad.jsonl"]
    done = binaries.run("evaluate", *map(str, arguments), "--report", str(tmp_path / "report.html"), "--pieces=1")
    assert done.returncode == 2 and "bad.jsonl: line 2" in done.stderr, done.stderr
    assert "step 1" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize(
    "flags, told",
    [
        (("--order=forward", "--order_documents=3"), ("--order = 'forward': does nothing without --orders=N", "3:")),
        (("--pieces=3", "--beside=x.json"), ("--pieces = 3: does nothing without --report=FILE.html", "--beside")),
        (("--harness_tasks=x",), ("--harness_tasks = 'x': does nothing without --harness=TASK",)),
        (("--scoring_samples=3",), ("does nothing without --choices=FILE",)),
        (("--against=x",), ("--against = ['x']: does nothing without --report",)),
        (("--report=x.html", "--against=nowhere"), ("nowhere/config.json: does not exist",)),
        (("--report=missing/x.html",), ("'missing/x.html': there is no such folder -> mkdir -p missing",)),
        (("--evaluation.document=3",), ("evaluation.documents",)),
        (("--evaluation.repeats=1", "--evaluation.splits=test"), ("evaluation.repeats = 1: below 2", "is not a split")),
    ],
)
def test_what_would_do_nothing_or_fail_at_the_end_is_refused_at_once(root, flags, told):
    done = binaries.run("evaluate", "--workdir", str(root / "run"), *flags)
    assert done.returncode == 2 and all(text in done.stderr for text in told), done.stderr
    assert "Traceback" not in done.stderr and not (root / "run" / "evaluations").exists()


def test_how_much_is_evaluated_can_be_said_on_the_command_line(root, tmp_path):
    arguments = ["--workdir", root / "run", "--step=1", "--output", tmp_path, "--evaluation.documents=2",
                 "--evaluation.splits=heldout", "--evaluation.batch_rows=1", "--evaluation.seed=7"]  # fmt: skip
    done = binaries.run("evaluate", *map(str, arguments))
    assert done.returncode == 0, done.stderr
    (line,) = Evaluation(RunFolder(root / "run"), tmp_path, Plan()).folder.read(1)
    assert (line["split"], line["documents"]) == ("heldout", 2)
    assert tuple(line["seeds"]) == EvaluationSettings(seed=7).seeds


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
