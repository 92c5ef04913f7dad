"""A file is the old one or the new one."""

import contextlib
import errno
import os
import resource
import signal
from pathlib import Path

import pytest
from etils import epath

from mdm import atomic


@pytest.mark.parametrize("shared", [False, True])
def test_a_write_that_fails_leaves_the_old_file(tmp_path, shared):
    path = tmp_path / "file"
    atomic.write_text(path, "old", shared=shared)
    with pytest.raises(ValueError), atomic.replacing(path, shared=shared) as temporary:
        temporary.write_text("ne")
        assert path.read_text() == "old"
        raise ValueError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    atomic.write_text(path, "né", shared=shared)
    assert path.read_text(encoding="utf-8") == "né"


def test_what_a_killed_process_left_is_written_over(tmp_path):
    (tmp_path / "file.tmp").write_text("half of so")
    atomic.write_text(tmp_path / "file", "whole")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_processes_that_share_a_file_write_each_their_own(tmp_path):
    with (
        atomic.replacing(tmp_path / "file", shared=True) as one,
        atomic.replacing(tmp_path / "file", shared=True) as other,
    ):
        assert one != other
        one.write_text("1")
        other.write_text("2")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_paths_of_other_stores_stay_what_they_are(tmp_path):
    with atomic.replacing(epath.Path(tmp_path) / "file") as temporary:
        assert isinstance(temporary, epath.Path)
        temporary.write_text("x")
    assert (tmp_path / "file").read_text() == "x"


def test_a_name_does_not_outlive_its_content(tmp_path, monkeypatch):
    """A loss of power keeps what was asked to be on the disk, in that order, and nothing else for certain."""
    done, sync, replace = [], os.fsync, Path.replace

    def synced(descriptor):
        done.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
        sync(descriptor)

    def replaced(self, target):
        done.append("replaced")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", replaced)
    atomic.write_text(tmp_path / "file", "whole")
    atomic.create(tmp_path / "new", "whole")
    assert done == ["file.tmp", "replaced", tmp_path.name, "new", tmp_path.name]
    done.clear()
    atomic.write_text(tmp_path / "file", "again", lasting=False)
    assert done == ["replaced"] and (tmp_path / "file").read_text() == "again"


@pytest.mark.parametrize("number, raises", [(errno.EINVAL, False), (errno.EIO, True)])
def test_a_file_system_that_cannot_tell_is_none_that_fails(tmp_path, monkeypatch, number, raises):
    def fails(_):
        raise OSError(number, os.strerror(number))

    atomic.write_text(tmp_path / "file", "old")
    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError) if raises else contextlib.nullcontext():
        atomic.write_text(tmp_path / "file", "new")
    assert (tmp_path / "file").read_text() == ("old" if raises else "new")


@pytest.mark.filterwarnings("ignore:.*fork")
def test_a_new_file_that_finds_no_room_is_not_there(tmp_path):
    """The kernel takes a part of it, and then no more: in a process of its own that may not make larger files."""
    child = os.fork()
    if not child:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (3, resource.RLIM_INFINITY))
        try:
            atomic.create(tmp_path / "file", "whole")
        except OSError:
            os._exit(0 if not (tmp_path / "file").exists() else 2)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    atomic.create(tmp_path / "file", "whole")
    with pytest.raises(FileExistsError):
        atomic.create(tmp_path / "file", "another")
    assert (tmp_path / "file").read_text() == "whole"
