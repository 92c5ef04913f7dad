"""A host that runs short says so once."""

import errno

from etils import epath

from mdm.runs import host as hosts
from mdm.runs.host import Host


def test_figures_are_those_of_this_machine(tmp_path):
    found = Host(epath.Path(tmp_path), 0.0, 0.0).figures()
    assert set(found) == {"host_memory_gib", "memory_free_gib", "disk_free_gib"}
    assert all(value > 0 for value in found.values()) and found["host_memory_gib"] < 20


def test_warnings_come_once_until_there_was_enough(tmp_path, caplog):
    host = Host(epath.Path(tmp_path), 0.9999, 1e18)
    for _ in range(3):
        host.figures()
    assert [record.message.split(":")[0] for record in caplog.records] == ["MEMORY IS SHORT", "DISK IS SHORT"]
    host._disk = 0.0
    host.figures()
    host._disk = 1e18
    host.figures()
    assert sum("DISK IS SHORT" in record.message for record in caplog.records) == 2


def test_a_bucket_has_no_disk():
    assert "disk_free_gib" not in Host(epath.Path("gs://bucket/run"), 0.0, 1e18).figures()


def test_a_disk_that_does_not_answer_costs_a_figure_and_not_the_run(tmp_path, monkeypatch, caplog):
    def stale(_):
        raise OSError(errno.ESTALE, "Stale file handle")

    host = Host(epath.Path(tmp_path), 0.0, 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(hosts.shutil, "disk_usage", stale)
        for _ in range(2):
            assert "disk_free_gib" not in host.figures()
    assert caplog.text.count("Stale file handle") == 1
    assert "disk_free_gib" in host.figures()
