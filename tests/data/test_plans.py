"""Packing plans are made once, by preparation or by a start, and what was made is kept."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from mdm import atomic
from mdm.data import packing, plans
from mdm.data.engine import Engine
from mdm.data.packing import Manner
from mdm.data.plans import PlanFolder
from mdm.problems import Refusal
from tests.data import synthetic

SPLIT, WHOLE = Manner(96, split=True), Manner(96, split=False)
MANNERS = {"text": SPLIT, "image-text": WHOLE, "audio-text": WHOLE}


class Killed(BaseException):
    pass


def files(directory):
    """Of the plans, byte for byte."""
    folder = directory / "plans"
    return {file.relative_to(folder): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def at_a_start(manifest):
    """What a start makes: (plans, rows of each shard)."""
    folders = [PlanFolder(manifest.directory, manifest.streams[name], own) for name, own in MANNERS.items()]
    return [folder.rows_and_fill("train")[0].tolist() for folder in folders]


@pytest.fixture
def manifest(tmp_path):
    return synthetic.write(tmp_path / "set", shard_documents=10)


@pytest.fixture
def once(tmp_path):
    """The plans as one start makes them."""
    made = synthetic.write(tmp_path / "once", shard_documents=10)
    at_a_start(made)
    assert len(files(made.directory)) == 3 + 2 * 18
    return files(made.directory)


def killed_at(monkeypatch, call):
    make, calls = packing.make, []

    def run(*arguments):
        calls.append(arguments)
        if len(calls) == call:
            raise Killed
        return make(*arguments)

    monkeypatch.setattr(packing, "make", run)
    return calls


def test_plans_are_kept_and_found_again(tmp_path, monkeypatch):
    manifest = synthetic.write(tmp_path)
    make = lambda: PlanFolder(tmp_path, manifest.streams["text"], Manner(96, split=True))  # noqa: E731
    rows, fill, _ = make().rows_and_fill("train")
    monkeypatch.setattr(packing, "make", lambda *_: pytest.fail("packed again"))
    again, same, _ = make().rows_and_fill("train")
    np.testing.assert_array_equal(rows, again)
    assert fill == same
    shard = manifest.streams["text"].shards["train"][0]
    assert make().plan(shard).count == rows[0]


def test_another_shard_under_the_same_name_is_packed_anew(tmp_path):
    first = synthetic.write(tmp_path, seed=0)
    PlanFolder(tmp_path, first.streams["text"], Manner(96, split=True)).rows_and_fill("train")
    second = synthetic.write(tmp_path, seed=1)
    rows, *_ = PlanFolder(tmp_path, second.streams["text"], Manner(96, split=True)).rows_and_fill("train")
    shard = second.streams["text"].shards["train"][0]
    assert rows[0] == packing.make(tmp_path, second.streams["text"], shard, Manner(96, True)).count
    assert PlanFolder(tmp_path, second.streams["text"], Manner(96, split=True)).plan(shard).count == rows[0]


def test_what_was_made_before_a_kill_is_not_made_again(manifest, once, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(Killed):
        killed_at(patch, 4)
        at_a_start(manifest)
    calls = killed_at(monkeypatch, -1)
    at_a_start(manifest)
    assert len(calls) == 18 - 3 and files(manifest.directory) == once


def test_several_starts_share_the_work(manifest, once, monkeypatch):
    """A second one that begins while the first is on its way makes what that has not, and both end with the same files."""
    make, begun = packing.make, []

    def run(*arguments):
        if len(begun) == 2:
            begun.append(None)
            at_a_start(manifest)
        begun.append(arguments)
        return make(*arguments)

    monkeypatch.setattr(packing, "make", run)
    at_a_start(manifest)
    assert files(manifest.directory) == once and len(begun) - 1 <= 18 + 6


@pytest.mark.parametrize("workers", [1, 3])
def test_preparation_makes_the_same_bytes_on_its_engine_and_a_start_finds_them(manifest, once, monkeypatch, workers):
    pytest.importorskip("apache_beam")
    plans.make_all(manifest, MANNERS, Engine(workers=workers))
    assert files(manifest.directory) == once
    monkeypatch.setattr(packing, "make", lambda *_: pytest.fail("packed again"))
    monkeypatch.setattr(Engine, "run", lambda *_, **__: pytest.fail("an engine for nothing"))
    at_a_start(manifest)
    plans.make_all(manifest, MANNERS, Engine())


def test_preparation_goes_on_where_a_start_was_killed_and_tells_how_far_it_is(manifest, once, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(Killed):
        killed_at(patch, 4)
        at_a_start(manifest)
    told = []

    def run(engine, elements, stage, progress):
        for element in elements:
            stage(element)
            told.append(progress())

    monkeypatch.setattr(Engine, "run", run)
    calls = killed_at(monkeypatch, -1)
    plans.make_all(manifest, MANNERS, Engine())
    assert told == [f"packed {number} of 15 shards into rows" for number in range(1, 16)]
    assert len(calls) == 15 and files(manifest.directory) == once


def test_what_an_engine_could_not_make_is_told_by_its_name(manifest):
    pytest.importorskip("apache_beam")
    with pytest.raises(Refusal, match="stream image-text train = .*do not fit a row of 20"):
        plans.make_all(manifest, {"image-text": Manner(20, split=False)}, Engine())


def test_a_folder_that_cannot_be_written_is_no_error(manifest, once, monkeypatch):
    rows = at_a_start(synthetic.write(manifest.directory.parent / "other", shard_documents=10))

    def refuse(*_, **__):
        raise OSError("read-only file system")

    monkeypatch.setattr(atomic, "replacing", refuse)
    monkeypatch.setattr(atomic, "write_text", refuse)
    monkeypatch.setattr(Path, "mkdir", refuse)
    for _ in range(2):
        assert at_a_start(manifest) == rows
    monkeypatch.setattr(Engine, "run", lambda *_, **__: pytest.fail("made for nothing"))
    plans.make_all(manifest, MANNERS, Engine())
    monkeypatch.undo()
    monkeypatch.setattr(os, "access", lambda *_: False)
    plans.make_all(manifest, MANNERS, Engine())
    assert not files(manifest.directory)


def test_a_line_of_another_shard_under_the_same_name_is_none(manifest, once):
    folder = PlanFolder(manifest.directory, manifest.streams["text"], SPLIT)
    (first, *rest) = manifest.streams["text"].shards["train"]
    folder.make(first)
    (line,) = (manifest.directory / "plans").rglob("*.line.json")
    assert folder.missing("train") == rest
    for wrong in (json.dumps(json.loads(line.read_text()) | {"sha256": "another"}), "{", "{}", "[1]"):
        line.write_text(wrong)
        assert folder.missing("train") == [first, *rest]
    at_a_start(manifest)
    assert files(manifest.directory) == once


def test_a_start_tells_how_far_it_is(manifest, monkeypatch):
    told = []
    monkeypatch.setattr(plans.logging, "log_every_n_seconds", lambda level, told_, n, *own: told.append(told_ % own))
    PlanFolder(manifest.directory, manifest.streams["text"], SPLIT).rows_and_fill("train")
    assert told == [f"packed {number} of 6 shards of text into rows of 96" for number in range(6)]
