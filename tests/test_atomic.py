"""A file is the old one or the new one."""

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
