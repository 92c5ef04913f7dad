"""A start on a full disk ends so that the next one goes on once there is room: with the file, the remedy and code 1."""

import contextlib
import errno
import os

import pytest

from mdm import exits, pretraining
from mdm.pretraining import pretrain
from mdm.problems import Fault, Refusal, room, unwritable
from mdm.runs import log, starts
from mdm.runs.folder import RunFolder
from mdm.runs.lock import Lock
from mdm.runs.log import MetricsLog
from tests.test_failures import config, config_of, small_disk
from tests.tiny import write_data


@contextlib.contextmanager
def full(disk):
    """Not a byte is left."""
    ballast = disk / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    try:
        yield
    finally:
        ballast.unlink()


def test_a_start_names_the_file_and_leaves_nothing_behind(tmp_path):
    with small_disk(tmp_path / "disk", "256k") as disk:
        folder = RunFolder(disk / "run")
        with starts.begin(folder, 0):
            pass
        folder.lock.unlink()
        folder.lock.touch()
        with (
            full(disk),
            pytest.raises(Fault, match="run/lock: cannot be written .*-> make room") as fault,
            Lock(folder),
        ):
            pass
        with full(disk), pytest.raises(Fault, match="starts/2/start.json: .*-> make room"):
            starts._taken(folder, 2)
        assert fault.value.code == exits.FAULT and [path.name for path in folder.starts.iterdir()] == ["1"]
        with starts.begin(folder, 0) as starting:
            assert starting.now.number == 2


def test_the_log_stays_as_it_was(tmp_path):
    with small_disk(tmp_path / "disk", "1m") as disk:
        folder = RunFolder(disk / "run")
        folder.create()
        first = MetricsLog(folder, 0)
        for step in range(10, 2000, 10):
            first.write(step, {"loss": step / 7})
        first.close()
        before = log.read(folder)
        with full(disk), pytest.raises(Fault, match="metrics.jsonl: .*-> make room"), room():
            MetricsLog(folder, 1990)
        assert log.read(folder) == before and not (folder.path / "metrics.jsonl.tmp").exists()


def test_what_a_run_cannot_write_at_its_start_is_started_again(tmp_path, monkeypatch):
    write_data(tmp_path / "set")
    folder = RunFolder(tmp_path / "run")

    def no_room(*_):
        with starts.atomic.replacing(folder.config):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # as a write does: it names no file

    monkeypatch.setattr(pretraining, "_write_what_it_is", no_room)
    with pytest.raises(Fault, match="run/config.json: finds no room .*-> make room"):
        pretrain(config.resolve(config_of(tmp_path / "set")), folder)
    (start,) = starts.read(folder)
    assert start.code == exits.FAULT and "make room" in start.reason and not folder.end.exists()


@pytest.mark.parametrize("number, kind", [(errno.ENOSPC, Fault), (errno.EDQUOT, Fault), (errno.EROFS, Refusal)])
def test_room_may_be_made_between_two_starts(number, kind):
    assert isinstance(unwritable("file", "cannot be written", OSError(number, "no"), "mend it"), kind)
    with pytest.raises(Fault if kind is Fault else OSError), room():
        raise OSError(number, "no", "file")
