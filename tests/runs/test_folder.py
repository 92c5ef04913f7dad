"""The run folder, its lock and its log."""

import errno
import os
import resource
import signal
import subprocess
import sys

import pytest
from tensorboardX.event_file_writer import EventsWriter

from mdm.problems import Refusal
from mdm.runs import lock as locks
from mdm.runs import log
from mdm.runs.folder import RunFolder
from mdm.runs.lock import Lock
from mdm.runs.log import MetricsLog
from tests import event_files
from tests.busy import Busy


@pytest.fixture
def folder(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.create()
    return folder


def test_json_comes_back(folder):
    folder.write_json(folder.config, {"a": [1, 2.5, "é"]})
    assert folder.read_json(folder.config) == {"a": [1, 2.5, "é"]}


@pytest.mark.parametrize("content", [None, "{", b"\xff\xfe"])
def test_a_missing_or_damaged_file_is_named(folder, content):
    if isinstance(content, str):
        folder.config.write_text(content)
    elif content:
        folder.config.write_bytes(content)
    with pytest.raises(Refusal, match="config.json"):
        folder.read_json(folder.config)


def test_a_file_that_its_storage_does_not_give_is_not_damaged(folder, monkeypatch):
    folder.write_json(folder.config, {})
    for error in (Busy("try again later"), OSError(errno.EIO, "Input/output error")):

        def fails(*_, error=error):
            raise error

        with monkeypatch.context() as patch:
            patch.setattr(type(folder.path), "read_bytes", fails)
            with pytest.raises(OSError, match=r"config\.json does not answer"):
                folder.read_json(folder.config)
    folder.config.unlink()
    folder.config.mkdir()
    with pytest.raises(Refusal, match=r"config\.json: cannot be read"):
        folder.read_json(folder.config)


def test_codecs_are_copied_once(folder, tmp_path):
    codec = tmp_path / "codecs" / "text"
    codec.mkdir(parents=True)
    (codec / "codec.json").write_text("first")
    folder.copy_codecs(tmp_path / "codecs", last="codec.json")
    (codec / "codec.json").write_text("second")
    folder.copy_codecs(tmp_path / "codecs", last="codec.json")
    assert (folder.codecs / "text" / "codec.json").read_text() == "first"
    assert [path.name for path in folder.codecs.iterdir()] == ["text"]


def test_end_mark(folder):
    assert folder.read_end() is None
    folder.mark_end("token budget reached", 7)
    assert folder.read_end() == {"reason": "token budget reached", "step": 7}
    folder.clear_end()
    folder.clear_end()
    assert folder.read_end() is None


HOLD = """
import sys, time
from mdm.runs.folder import RunFolder
from mdm.runs.lock import Lock
with Lock(RunFolder(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_two_jobs_on_one_folder_are_refused_and_a_killed_one_leaves_nothing(folder):
    other = subprocess.Popen([sys.executable, "-c", HOLD, str(folder.path)], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout.readline() == "held\n"
        for _ in range(2):  # the refusal does not wipe the name of the holder
            with pytest.raises(Refusal, match=f'"pid": {other.pid}'), Lock(folder):
                pass
    finally:
        other.kill()
        other.wait()
    with Lock(folder):
        pass


def test_a_file_system_without_locks_warns_and_does_not_name_another_job(folder, monkeypatch, caplog):
    def no_locks(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(locks.fcntl, "flock", no_locks)
    with Lock(folder):
        assert "cannot be locked" in caplog.text


def test_a_busy_bucket_costs_a_line_and_not_the_run(folder, monkeypatch, caplog):
    def busy(*_):
        raise Busy("try again later")

    writer = MetricsLog(folder, 0)
    with monkeypatch.context() as patch:
        patch.setattr(MetricsLog, "_append", busy)
        writer.write(10, {"loss": 1.0})
        patch.setattr(EventsWriter, "write_event", busy)
        writer.write(20, {"loss": 1.0})
    writer.write(30, {"loss": 1.0})
    writer.close()
    assert steps(folder) == [30] and caplog.text.count("were not written") == 2


def steps(folder):
    return [line["step"] for line in log.read(folder)]


def test_the_log_is_cut_back_to_the_restored_step(folder):
    first = MetricsLog(folder, 0)
    for step in (10, 20, 30):
        first.write(step, {"loss": step / 7})
    first.close()
    with folder.metrics.open("a") as file:
        file.write('{"step": 40, "lo')  # killed within a line
    assert steps(folder) == [10, 20, 30]
    second = MetricsLog(folder, 20)
    assert steps(folder) == [10, 20]
    second.write(30, {"loss": 1 / 3})
    second.close()
    assert log.read(folder)[-1] == {"step": 30, "loss": 1 / 3}


@pytest.mark.parametrize(
    "damage",
    [b'{"step": 15, "lo', b"\xff\xfe{}", b"[1]", b"3", b"null", b'{"loss": 1}', b'{"step": "15"}', b'{"step": 1.5}', b"",
     b"[" * 100_000],
)  # fmt: skip
def test_a_damaged_line_costs_no_other_and_is_told_by_file_and_number(folder, damage, caplog):
    first = MetricsLog(folder, 0)
    for step in (10, 20, 30):
        first.write(step, {"loss": step / 7})
    first.close()
    content = folder.metrics.read_bytes().splitlines(keepends=True)
    folder.metrics.write_bytes(b"".join([content[0], damage + b"\n", *content[1:]]))
    assert steps(folder) == [10, 20, 30] and f"{folder.metrics}, line 2 is damaged" in caplog.text
    caplog.clear()
    MetricsLog(folder, 20).close()
    assert steps(folder) == [10, 20] and caplog.text.count("is damaged") == 1
    folder.metrics.write_bytes(folder.metrics.read_bytes() + b'{"step": 30, "lo')
    caplog.clear()
    assert steps(folder) == [10, 20] and not caplog.records


def test_a_wrong_step_hides_no_line(folder):
    folder.metrics.write_text('{"step": 10}\n{"step": 90}\n{"step": 30}\n')
    assert steps(folder) == [10, 30, 90]


def test_a_line_is_on_disk_when_write_returns(folder):
    writer = MetricsLog(folder, 0)
    writer.write(10, {"loss": 1.0})
    assert steps(folder) == [10]
    writer.close()


def test_events_are_written(folder):
    for first, step in ((0, 10), (10, 20)):
        writer = MetricsLog(folder, first)
        writer.write(step, {"loss": step / 8, "elbo_bits/text": 2.0})
        writer.close()
    events = event_files.read(folder.events)
    found = [(event.step, {value.tag: value.simple_value for value in event.summary.value}) for event in events]
    figures = [(step, {"loss": step / 8, "elbo_bits/text": 2.0}) for step in (10, 20)]
    assert found == [(0, {}), (1, {}), figures[0], (0, {}), (11, {}), figures[1]]


@pytest.mark.filterwarnings("ignore:.*fork")
def test_a_full_disk_costs_a_line_and_not_the_run(folder):
    """The kernel writes a part of the line, and then no more: in a process of its own that may not make larger files."""
    child = os.fork()
    if not child:
        writer = MetricsLog(folder, 0)
        writer.write(10, {"loss": 1.0})
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (folder.metrics.stat().length + 20, resource.RLIM_INFINITY))
        writer.write(20, {"loss": 2.0})
        writer.write(30, {"loss": 3.0})
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        for step in range(40, 100):  # more than any queue holds
            writer.write(step, {"loss": 4.0})
        writer.close()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert steps(folder) == [10, *range(40, 100)]


def test_a_relative_path_is_a_path_from_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert str(RunFolder("runs/one").checkpoints) == f"{tmp_path}/runs/one/checkpoints"
    assert str(RunFolder("gs://bucket/one").config) == "gs://bucket/one/config.json"
