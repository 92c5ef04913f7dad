"""What grows in an object store: bounded parts, nobody waits, and a store that refuses gets it later."""

import json
import logging

import pytest
from etils import epath

from mdm.runs import events, log, uploads
from mdm.runs.folder import RunFolder
from mdm.runs.log import MetricsLog
from mdm.runs.text_log import _Objects
from mdm.runs.uploads import Growing, Uploads, joined


@pytest.fixture
def part(tmp_path):
    return lambda number: epath.Path(tmp_path) / f"{number}.txt"


@pytest.fixture
def written(monkeypatch):
    """Bytes of each write."""
    sizes, write = [], Uploads._write

    def counted(self, path, content):
        sizes.append(len(content))
        write(self, path, content)

    monkeypatch.setattr(Uploads, "_write", counted)
    return sizes


def test_what_is_uploaded_grows_with_the_lines_and_not_with_their_square(part, written, monkeypatch):
    monkeypatch.setattr(uploads, "PART", 1000)
    for lines in (100, 200):
        written.clear()
        own = Uploads()
        text = Growing(part, own)
        for number in range(lines):
            text.add(f"{number:99d}\n")
            own.flush()
        own.close()
        assert max(written) == 1000 and sum(written) == lines * 550
        assert [int(line) for line in b"".join(joined(part)).splitlines()] == list(range(lines))


def test_nobody_waits_and_only_the_newest_is_written(part, written):
    own = Uploads()
    text = Growing(part, own)
    for number in range(50):
        text.add(f"{number}\n")
    assert written == []  # the thread pauses between two uploads
    own.close()
    assert len(written) == 1 and joined(part)[0].splitlines()[-1] == b"49"


def test_what_a_store_refuses_is_told_and_written_later(part, monkeypatch, caplog):
    own = Uploads()
    with monkeypatch.context() as patch:
        patch.setattr(type(part(0)), "write_bytes", lambda *_: (_ for _ in ()).throw(RuntimeError("429")))
        own.put(part(0), b"first")
        own.flush()
        assert "was not written: 429" in caplog.text and not part(0).exists()
    own.close()
    assert part(0).read_bytes() == b"first"


def test_the_parts_of_a_log_are_one_log_and_the_next_start_joins_them(tmp_path, monkeypatch):
    """As in a bucket: lines go into parts. A start that was killed while it joined them left some twice."""
    folder = RunFolder(tmp_path)
    folder.metrics_part(0).parent.mkdir()

    def line(step: int) -> str:
        return json.dumps({"step": step, "loss": step / 7}) + "\n"

    folder.metrics.write_text(line(10) + line(20))
    folder.metrics_part(0).write_text(line(20) + line(30))
    folder.metrics_part(1).write_text(line(40) + '{"step": 50, "lo')
    assert [found["step"] for found in log.read(folder)] == [10, 20, 30, 40]
    MetricsLog(folder, 30).close()
    assert folder.metrics.read_text() == line(10) + line(20) + line(30)
    assert not list(folder.metrics_part(0).parent.iterdir())


def test_events_are_uploaded_in_files_of_bounded_size(tmp_path, written, monkeypatch):
    monkeypatch.setattr(events, "PART", 2000)
    own = Uploads()
    writer = events.Events(epath.Path(tmp_path), 1, own)
    for step in range(100):
        writer.write(step, {"loss": 1.0, "elbo_bits/text": 2.0})
        own.flush()
    writer.close()
    own.close()
    files = sorted(path.stat().st_size for path in tmp_path.iterdir())
    assert len(files) > 2 and files[-1] < 2200 and max(written) < 2200


def test_the_log_of_a_process_is_kept_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(uploads, "PART", 100)
    handler = _Objects(epath.Path(tmp_path / "log-0.txt"))
    for number in range(10):
        handler.emit(logging.LogRecord("mdm", logging.INFO, "", 0, "line %d of the log", (number,), None))
    handler.close()
    names = ["log-0.txt", "log-0.txt.1"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert "".join((tmp_path / name).read_text() for name in names).count("of the log") == 10
