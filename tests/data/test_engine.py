"""What is prepared does not depend on the engine: not on its workers, its runner, or on where an earlier start was killed."""

import contextlib
import json
import os
import shutil
import socket
from pathlib import Path

import pytest

from mdm.codecs.text_bpe import BpeSettings
from mdm.codecs.text_bytes import Bytes
from mdm.data import assembly, documents, parts, shards, shuffle, workspace
from mdm.data import engine as engines
from mdm.data import manifest as manifests
from mdm.data.engine import Engine
from mdm.data.preparation import CodecChoice
from mdm.data.readers.reader import Piece
from mdm.problems import Refusal
from tests.data import prose

pytest.importorskip("apache_beam")


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    return prose.write(tmp_path_factory.mktemp("prose") / "media")


@pytest.fixture(scope="module")
def once(media, tmp_path_factory):
    return prose.prepared(prose.settings_of(media), tmp_path_factory.mktemp("prose") / "once")


class Killed(Exception):
    pass


def killed(function, at):
    """`function` whose call number `at` kills."""
    calls = []

    def run(*arguments, **keywords):
        calls.append(arguments)
        if len(calls) == at:
            raise Killed
        return function(*arguments, **keywords)

    return run


def kill(monkeypatch, owner, name, at, prepare):
    """Prepares until call number `at` of `owner.name`, which kills."""
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, killed(getattr(owner, name), at))
        with pytest.raises(Exception, match="Killed|") as error:
            prepare()
        assert "Killed" in repr(error.value) + str(error.value)


def assert_same(one, other):
    mine, others = prose.files_of(one), prose.files_of(other)
    assert mine.keys() == others.keys()
    differing = [file for file in mine if mine[file] != others[file] and file != "dataset_info.json"]
    assert not differing  # dataset_info.json names its own folder


def test_several_workers_write_the_same_bytes(media, once, tmp_path):
    assert len(prose.texts(once)) == 60
    assert_same(once, prose.prepared(prose.settings_of(media), tmp_path / "twice", Engine(workers=3)))


@pytest.mark.parametrize("place", ["run", "index", "bin", "end"])
def test_in_two_steps_the_same_bytes_are_written_also_after_a_kill(media, once, tmp_path, monkeypatch, place):
    monkeypatch.setattr(shuffle, "_DIRECT", 0)
    owner, name, at = {
        "run": (shuffle, "ArrayRecordWriter", 3),
        "index": (shuffle.np, "savez", 8),  # five are of parts
        "bin": (assembly.shards, "write_records", 5),
        "end": (assembly, "publish", 1),
    }[place]
    kill(monkeypatch, owner, name, at, lambda: prose.prepared(prose.settings_of(media), tmp_path / "set"))
    assert_same(once, prose.prepared(prose.settings_of(media), tmp_path / "set", Engine(workers=2)))


def test_the_work_of_assembly_does_not_grow_with_parts_times_shards(tmp_path, monkeypatch):
    media = prose.write(tmp_path / "media", files=48, lines=12)
    settings = prose.settings_of(media, shard_documents=12)
    opened = []
    reader = shuffle.ArrayRecordReader
    monkeypatch.setattr(shuffle, "ArrayRecordReader", lambda *own: (opened.append(own), reader(*own))[1])
    direct = prose.prepared(settings, tmp_path / "direct")
    visits = len(opened)
    opened.clear()
    monkeypatch.setattr(shuffle, "_DIRECT", 48)
    assert_same(direct, prose.prepared(settings, tmp_path / "dealt"))
    count = sum(len(own) for own in direct.streams["text"].shards.values())
    assert count > 40 and visits > 400 and len(opened) <= 2 * 7 * count + 7 * 48


@pytest.mark.slow
def test_another_runner_writes_the_same_bytes(media, once, tmp_path):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        options = (f"--dask_client_address={cluster.scheduler_address}", "--dask_partition_size=1")
        other = prose.prepared(prose.settings_of(media), tmp_path / "dask", Engine("DaskRunner", options=options))
    assert_same(once, other)


@pytest.mark.parametrize("place", ["part", "shard", "publish", "manifest"])
def test_a_start_after_a_kill_finishes_with_the_same_bytes(media, once, tmp_path, monkeypatch, place):
    owner, name, at = {
        "part": (parts, "_write", 3),
        "shard": (assembly.shards, "write_records", 4),
        "publish": (assembly, "_move", 5),
        "manifest": (manifests.Manifest, "save", 1),
    }[place]
    kill(monkeypatch, owner, name, at, lambda: prose.prepared(prose.settings_of(media), tmp_path / "set"))
    with pytest.raises(Refusal, match="no prepared data set"):
        manifests.load(tmp_path / "set")
    made = []
    monkeypatch.setattr(parts, "_write", lambda job, task, own=parts._write: (made.append(task.number), own(job, task)))
    assert_same(once, prose.prepared(prose.settings_of(media), tmp_path / "set"))
    assert len(made) == (3 if place == "part" else 0)


def unfinished(monkeypatch, settings, directory):
    """Prepares until all but the manifest is written."""
    with monkeypatch.context() as patch:
        patch.setattr(manifests.Manifest, "save", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            prose.prepared(settings, directory)


@pytest.mark.parametrize("other", ["settings", "codec", "layout"])
def test_what_another_preparation_encoded_is_refused_and_left_as_it_was(media, once, tmp_path, monkeypatch, other):
    settings = prose.settings_of(media)
    unfinished(monkeypatch, settings, tmp_path / "set")
    files = [path for path in (tmp_path / "set").rglob("*") if path.is_file() and path.name != "lock"]
    before = {path: path.read_bytes() for path in files}
    told = f"{tmp_path / 'set'} = '5 encoded.*{tmp_path.joinpath('set', workspace.FOLDER, 'parts')}"
    with monkeypatch.context() as patch, pytest.raises(Refusal, match=told):
        if other == "codec":
            patch.setattr(Bytes, "fingerprint", "other")
        if other == "layout":
            patch.setattr(documents, "LAYOUT", 1)
        changed = {"seed": 1, "codecs": {"text": CodecChoice("bpe", BpeSettings(300))}} if other == "settings" else {}
        prose.prepared(prose.settings_of(media, **changed), tmp_path / "set")
    kept = before if other != "codec" else [path for path in before if path.parent.name != "text"]
    assert all(path.read_bytes() == before[path] for path in kept)
    assert_same(once, prose.prepared(settings, tmp_path / "set"))


def test_what_another_preparation_left_is_not_taken_for_this_one(media, once, tmp_path, monkeypatch):
    unfinished(monkeypatch, prose.settings_of(media, seed=1, shard_documents=3), tmp_path / "set")
    shutil.rmtree(tmp_path.joinpath("set", workspace.FOLDER, "parts"))
    assert_same(once, prose.prepared(prose.settings_of(media), tmp_path / "set"))


def test_shards_of_another_size_are_made_of_the_same_parts(media, once, tmp_path, monkeypatch):
    unfinished(monkeypatch, prose.settings_of(media, shard_documents=3), tmp_path / "set")
    monkeypatch.setattr(parts, "_write", lambda *_: pytest.fail("a piece was encoded again"))
    assert_same(once, prose.prepared(prose.settings_of(media), tmp_path / "set"))


def test_a_folder_with_anything_else_in_it_is_refused_and_left_as_it_was(media, tmp_path):
    (tmp_path / "work").mkdir()
    (tmp_path / "work/thesis.txt").write_text("three years")
    (tmp_path / "file").write_text("")
    for folder in (tmp_path, tmp_path / "file"):
        with pytest.raises(Refusal, match=r"holds something else than a data set.*--output"):
            prose.prepared(prose.settings_of(media), folder)
    assert {path.name for path in tmp_path.rglob("*")} == {"work", "thesis.txt", "file"}


def test_one_process_prepares_in_a_folder(media, once, tmp_path):
    workspace.claim(tmp_path / "own")
    with (
        workspace.locked(tmp_path / "own"),
        pytest.raises(Refusal, match=f'another job writes here.*"pid": {os.getpid()}'),
    ):
        prose.prepared(prose.settings_of(media), tmp_path / "own")
    assert_same(once, prose.prepared(prose.settings_of(media), tmp_path / "own"))
    assert not tmp_path.joinpath("own", workspace.FOLDER).exists()


def test_sources_and_folders_travel_by_their_whole_paths(media, once, tmp_path, monkeypatch):
    monkeypatch.chdir(media.parent)
    (tmp_path / "elsewhere").mkdir()
    encode = parts.encode

    def on_a_worker(job, task):
        with contextlib.chdir(tmp_path / "elsewhere"):
            encode(job, task)

    monkeypatch.setattr(parts, "encode", on_a_worker)
    target = Path(os.path.relpath(tmp_path / "set"))
    prose.prepared(prose.settings_of(Path(media.name)), target, Engine("FnApiRunner"))
    assert prose.texts(manifests.load(tmp_path / "set")) == prose.texts(once)


def test_workers_that_do_not_see_the_folder_are_told_of(media, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(parts, "encode", lambda job, task: None)  # as one that writes to a disk of its own
        with pytest.raises(Refusal, match=r"5 files that workers wrote are not here.*every worker the same folders"):
            prose.prepared(prose.settings_of(media), tmp_path / "set")
    job = workspace.Job(tmp_path / "none", {}, {}, {}, 0.1, 0, 0)
    with pytest.raises(Refusal, match=f"is not there on {socket.gethostname()}.*every worker the same folders"):
        parts.encode(job, workspace.Task(0, "t", Piece((), "")))


def test_a_piece_that_two_workers_encode_at_once_is_whole(media, once, tmp_path, monkeypatch):
    encoded, begun = parts._encoded, []

    def twice(job, task, codecs):
        for number, own in enumerate(encoded(job, task, codecs)):
            if number == 3 and task.number not in begun:
                begun.append(task.number)
                parts._write(job, task)
            yield own

    monkeypatch.setattr(parts, "_encoded", twice)
    assert_same(once, prose.prepared(prose.settings_of(media), tmp_path / "set"))
    assert len(begun) == 5


def test_texts_are_encoded_by_so_many_bytes_at_once_and_to_the_same_codes(tmp_path, monkeypatch):
    (tmp_path / "media").mkdir()
    (tmp_path / "media/a.txt").write_text("".join(f"{'ü' * 50} {number}\n" for number in range(40)))  # 102 bytes each
    settings = prose.settings_of(tmp_path / "media")
    whole = prose.prepared(settings, tmp_path / "whole")
    sizes, encode = [], Bytes.encode
    monkeypatch.setattr(Bytes, "encode", lambda own, texts: (sizes.append(len(texts)), encode(own, texts))[1])
    monkeypatch.setattr(parts, "BATCH_TEXT", 500)
    assert_same(whole, prose.prepared(settings, tmp_path / "cut"))
    assert sizes == [5] * 8


def test_the_summary_counts_what_is_there(once):
    summary = json.loads((once.directory / "summary.json").read_text())
    found = prose.texts(once)
    counted = summary["streams"]["text"]
    assert sum(own["documents"] for own in counted.values()) == 60 and summary["skipped"] == 0
    lengths = sorted(len(text) for text in prose.texts(once, split="train").values())
    assert counted["train"]["lengths"]["text"]["least"] == lengths[0]
    assert counted["train"]["lengths"]["text"]["most"] == lengths[-1]
    assert summary["codes"]["text.0"]["used"] == len(set("".join(found.values())))


def test_without_beam_the_extra_is_named(media, tmp_path, monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(engines.importlib, "import_module", missing)
    with pytest.raises(Refusal, match=r"mdm\[beam\]"):
        prose.prepared(prose.settings_of(media), tmp_path / "set")


def test_a_shard_holds_at_most_what_was_said(once):
    sizes = [shard.documents for own in once.streams["text"].shards.values() for shard in own]
    assert max(sizes) <= 7 and sum(sizes) == 60
    assert len(sizes) <= 60 / 7 + 2  # a split's last shard may be short, no other


def test_a_shard_holds_at_most_so_many_bytes(media, once, tmp_path, monkeypatch):
    assert max(shard.documents for shard in once.streams["text"].shards["train"]) == 7
    monkeypatch.setattr(assembly, "MOST_BYTES", 400)  # three lines of some 30 codes
    found = prose.prepared(prose.settings_of(media), tmp_path / "set")
    sizes = [4 * int(shards.lengths(tmp_path / "set", own).sum()) for own in found.streams["text"].shards["train"]]
    assert max(sizes) <= 400 and min(sizes[:-1]) > 200 and prose.texts(found) == prose.texts(once)
