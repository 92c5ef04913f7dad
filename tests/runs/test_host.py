"""A host that runs short says so once."""

from etils import epath

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
