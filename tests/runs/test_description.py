"""A run tells all about itself, and reading it changes nothing."""

import dataclasses
import os
import socket
from pathlib import Path

import pytest

from mdm import atomic
from mdm.problems import Refusal
from mdm.runs import starts
from mdm.runs.description import describe
from mdm.runs.folder import RunFolder
from mdm.runs.lock import Lock
from mdm.runs.log import MetricsLog
from mdm.runs.making import made
from mdm.runs.starts import Start


@pytest.fixture
def folder(tmp_path):
    folder = RunFolder(tmp_path / "run")
    with starts.begin(folder, 0) as starting:
        starting.write_made(made("python -m mdm.train --workdir=run", {"XLA_FLAGS": "--xla_some=1"}))
        starting.write_placement("name  shape\nembedding  (8, 4)")
        folder.write_json(folder.config, {"model": {"width": 16}, "data": {"stages": [{"from_row": 0}]}})
        log = MetricsLog(folder, 0)
        log.write(4, {"loss": 3.25, "tokens": 1234.0, "tokens_per_second": 10.0, "updates_skipped": 0.0})
        log.close()
        starting.update(restored=0, reached=4, seconds={"step": 2.0, "compile": 6.0})
    return folder


def tree(folder):
    return {path: path.stat().st_mtime_ns for path in Path(folder.path).rglob("*")}


def test_what_it_is_where_it_stands_and_where_its_time_went(folder):
    before = tree(folder)
    text = describe(folder)
    for told in (
        "model.width", "16", "step 4", "loss 3.25", "python -m mdm.train --workdir=run", "commit", "versions.jax",
        "environment.XLA_FLAGS", "embedding  (8, 4)", "compile", "code 0", socket.gethostname(), "log-0.txt",
    ):  # fmt: skip
        assert told in text, told
    assert tree(folder) == before


def test_the_state_of_a_run(folder):
    assert "stopped with code 0" in describe(folder)
    folder.mark_end("token budget reached", 4)
    assert "ended at step 4: token budget reached" in describe(folder)
    folder.clear_end()
    with Lock(folder):
        late = Start(2, socket.gethostname(), 0.0, 0.0)
        folder.start(2).mkdir()
        folder.write_json(folder.start(2) / "start.json", dataclasses.asdict(late))
        assert f"running, process {os.getpid()} of this host" in describe(folder)
        assert "not known: it did not come so far" in describe(folder)
    child = os.posix_spawnp("true", ["true"], os.environ)
    os.waitpid(child, 0)
    atomic.write_text(folder.lock, f'{{"host": "{socket.gethostname()}", "pid": {child}}}')
    assert "not running, and it did not say why" in describe(folder)
    atomic.write_text(folder.lock, f'{{"host": "another", "pid": {child}}}')
    assert "running on another, or killed there" in describe(folder)


def test_stacks_of_a_hung_process_are_pointed_at(folder):
    (folder.start(1) / "stacks-3.txt").write_text("Thread 1")
    assert "starts/1/stacks-3.txt" in describe(folder)


def test_no_run(tmp_path):
    with pytest.raises(Refusal, match="holds no run"):
        describe(RunFolder(tmp_path))
