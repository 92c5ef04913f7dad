"""The binary: a study from its file to its page, in processes of its own."""

import functools
import json

import pytest

from tests import binaries
from tests.tiny import tiny_config, write_data

run = functools.partial(binaries.run, "study")
FILE = """
from mdm.studies.analyses.best_setting import BestSetting
from mdm.studies.study import Axis, Study

BASE = {base!r}


def get_study(size="small"):
    axis = Axis.of("rate", "optimizer.learning_rate", (1e-3, 1e-2, 1e-1))
    if size == "two":
        axis = Axis("scale", {{"usual": {{}}, "huge": {{"model.embedding_std": 1e38}}}})
    return Study(
        title="Rates", question="Which?", expectation="None.", base=lambda: BASE,
        axes=(axis,), metrics=("heldout_bits",),
        analyses=(BestSetting("Best", x="rate", y="heldout_bits"),) if size == "small" else (),
    )
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("study")
    write_data(root / "set")
    (root / "rates.py").write_text(FILE.format(base=tiny_config("")))
    return root


def flags(root, size="", workdir="out"):
    return f"--study={root}/rates.py{size}", f"--workdir={root}/{workdir}"


@pytest.mark.slow
def test_a_study_from_its_file_to_its_page(root):
    failed = run(*flags(root, ":two"))  # without data
    assert failed.returncode == 1 and failed.stderr.count("no prepared data set") >= 2
    assert "2 of 2 trials are missing" in (root / "out/results.md").read_text()
    own = [*flags(root, ":two"), f"--data={root}/set"]
    done = run(*own, "--jobs=2")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (root / "out/trials.jsonl").read_text().splitlines()]
    assert [line["diverged"] for line in lines] == [False, True]
    assert lines[0]["metrics"]["heldout_bits"] > 1 and lines[1]["metrics"]["heldout_bits"] is None
    assert "1 of them diverged" in (root / "out/results.md").read_text()
    assert any((root / "out/compilations").rglob("*-cache"))
    before = {path: path.stat().st_mtime_ns for path in root.glob("out/trials/*/result.json")}
    assert run(*own).returncode == 0
    assert {path: path.stat().st_mtime_ns for path in root.glob("out/trials/*/result.json")} == before
    # As a task of an array job, of a study that has gained levels: the finished trial is known by its settings.
    listed = run(*flags(root), "--list").stdout.splitlines()
    assert [line.split()[1] for line in listed] == ["missing", "finished", "missing"]
    assert run(*flags(root), f"--data={root}/set", "--number=1").returncode == 0
    assert {path: path.stat().st_mtime_ns for path in root.glob("out/trials/*/result.json")} == before
    report = run(*flags(root), "--report")
    assert report.returncode == 0 and "2 of 3 trials are missing" in (root / "out/results.html").read_text()


def test_refusals(root):
    for arguments, told in (
        (["--number=7"], "there are 3"),
        (["--emit=gke"], "--image"),
        (["--trial=../.."], "is not in"),
    ):
        done = run(*flags(root, workdir="x"), *arguments)
        assert done.returncode == 2 and told in done.stderr and "Traceback" not in done.stderr, done.stderr
    assert not (root / "x").exists()


def test_an_array_job_is_printed(root):
    done = run(*flags(root), f"--data={root}/set", "--emit=slurm")
    assert "--array=0-2%3" in done.stdout and f"--data={root}/set" in done.stdout
    done = run(*flags(root), "--emit=gke", "--image=x", "--jobs=2")
    assert "parallelism: 2" in done.stdout
