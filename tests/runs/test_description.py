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


DAMAGE = {
    "end.json": [b'{"reason": "tok', b"{}", b"3", b"\xff\xfe"],
    "config.json": [b'{"model": {"wid', b"\xff\xfe"],
    "starts/1/start.json": [b'{"number": 1, "ho', b"[]", b"\xff\xfe"],
    "starts/1/made.json": [b'{"comm', b"\xff\xfe"],
    "starts/1/placement.txt": [b"\xff\xfe"],
    "metrics.jsonl": [b'{"step": 4, "loss": null, "tokens": "x"}\n', b"\xff\xfe\n[]\n"],
    "lock": [b"[1]", b"{}", b'{"host": 1, "pid": "x"}', b"\xff\xfe"],
}


@pytest.mark.parametrize("name, content", [(name, content) for name, own in DAMAGE.items() for content in own])
def test_what_is_damaged_is_told_and_the_rest_is_shown(folder, name, content):
    second = Start(2, socket.gethostname(), 1.0, 1.0)
    folder.start(2).mkdir()
    folder.write_json(folder.start(2) / "start.json", dataclasses.asdict(second))
    folder.mark_end("token budget reached", 4)
    (folder.path / name).write_bytes(content)
    text = describe(folder)
    if name in ("end.json", "config.json", "starts/1/start.json"):
        assert f"{folder.path / name}: " in text.splitlines()[2] and " -> " in text.splitlines()[2]
    shown = {"config.json": "model.width", "end.json": "ended at step 4", "metrics.jsonl": "loss 3.25"}
    for file, told in shown.items():
        assert (told in text) == (file != name), told


@pytest.mark.parametrize(
    "change",
    [{"alive": None}, {"began": "x"}, {"reached": None}, {"seconds": {"step": None}}, {"seconds": None}, {"code": "x"},
     {"alive": float("nan")}, {"reason": None}, {"number": 7}, {"restored": 1.5}, {"reached": True}, {"more": 1}],
)  # fmt: skip
def test_a_start_that_none_has_written_is_in_nobodys_way(folder, change):
    """Neither who describes the run nor who goes on with it."""
    path = folder.start(1) / "start.json"
    folder.write_json(path, folder.read_json(path) | change)
    assert f"{path}: cannot be read" in describe(folder)
    with starts.begin(folder, 1) as starting:
        assert starting.now.number == 2 and starting.earlier == ()


def test_a_clock_that_went_backward_is_told(folder):
    late = Start(2, socket.gethostname(), 1e10, 1e10 - 9)
    folder.start(2).mkdir()
    folder.write_json(folder.start(2) / "start.json", dataclasses.asdict(late))
    text = describe(folder)
    assert "ahead of this host's clock" in text and "clocks went backward, by 9.0 s" in text and " -9" not in text


def test_stacks_of_a_hung_process_are_pointed_at(folder):
    (folder.start(1) / "stacks-3.txt").write_text("Thread 1")
    assert "starts/1/stacks-3.txt" in describe(folder)


def test_no_run(tmp_path):
    with pytest.raises(Refusal, match="holds no run"):
        describe(RunFolder(tmp_path))
