"""The pool runs what is missing, however often it is killed, and a trial that fails stops no other."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mdm.problems import Refusal
from mdm.studies import pool
from mdm.studies.folder import StudyFolder
from tests.studies import stub

ROOT = Path(__file__).parents[2]
TRIALS = stub.trials()


def table(path) -> str:
    return (path / "table.csv").read_text() + (path / "trials.jsonl").read_text()


def runs(path) -> list[str]:
    return [(path / "trials" / trial.id / "runs").read_text() for trial in TRIALS]


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole")
    os.environ["PYTHONPATH"] = str(ROOT)
    assert not stub.study(str(path))
    return path


def wait(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_finished_study_runs_nothing(whole):
    before = runs(whole)
    assert before == ["x"] * 6 and not stub.study(str(whole)) and runs(whole) == before


def test_a_killed_pool_takes_its_trials_along_and_is_continued(whole, tmp_path):
    (tmp_path / "slow").write_text("2")
    process = subprocess.Popen([sys.executable, str(ROOT / "tests/studies/stub.py"), str(tmp_path)])
    results = lambda: list(tmp_path.glob("trials/*/result.json"))  # noqa: E731
    pids = lambda: {int(path.name[4:]) for path in tmp_path.glob("trials/*/pid-*")}  # noqa: E731
    wait(lambda: len(results()) == 2 and len(pids()) == 4)
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait(lambda: not any(map(alive, pids())), seconds=20)
    assert len(results()) == 2
    (tmp_path / "slow").unlink()
    assert not stub.study(str(tmp_path))
    assert table(tmp_path) == table(whole) and runs(tmp_path) == ["x"] * 6


def test_a_trial_that_fails_is_told_and_tried_again(whole, tmp_path):
    bad = TRIALS[1].id
    (tmp_path / f"fail-{bad}").touch()
    (failure,) = stub.study(str(tmp_path))
    assert failure.trial.id == bad and failure.code == 1 and "out of luck" in failure.tail
    assert len(list(tmp_path.glob("trials/*/result.json"))) == 5
    assert bad not in (tmp_path / "table.csv").read_text()
    (tmp_path / f"fail-{bad}").unlink()
    assert not stub.study(str(tmp_path))
    assert table(tmp_path) == table(whole)


def test_an_exception_ends_the_trials(tmp_path):
    folder = StudyFolder(tmp_path)
    command = lambda trial: [sys.executable, stub.__file__, str(tmp_path), trial.id]  # noqa: E731
    (tmp_path / "slow").write_text("1")

    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pool.run(TRIALS, folder, command, 2, stop)
    assert len(list(tmp_path.glob("trials/*/result.json"))) == 1
    assert not any(alive(int(path.name[4:])) for path in tmp_path.glob("trials/*/pid-*"))


def test_no_more_than_jobs_run_at_once(tmp_path):
    folder, most = StudyFolder(tmp_path), []
    script = "import sys; sys.stdin.read()"

    class Counting(subprocess.Popen):
        live = 0

        def __init__(self, *arguments, **named):
            super().__init__(*arguments, **named)
            Counting.live += 1
            most.append(Counting.live)
            self.stdin.close()

        def poll(self):
            code = super().poll()
            if code is not None and not getattr(self, "counted", False):
                self.counted = True
                Counting.live -= 1
            return code

    original, pool.subprocess.Popen = pool.subprocess.Popen, Counting
    try:
        failures = pool.run(TRIALS, folder, lambda trial: [sys.executable, "-c", script], 3)
    finally:
        pool.subprocess.Popen = original
    assert max(most) == 3 and len(failures) == 6  # none of them wrote a result


def test_a_bucket_is_refused():
    with pytest.raises(Refusal, match="local"):
        pool.run(TRIALS, StudyFolder("gs://bucket/x"), lambda trial: [], 1)


def test_only_a_trial_of_the_folder_is_read(tmp_path):
    (tmp_path / "trials").mkdir()
    (tmp_path / "trial.json").write_text('{"levels": {}, "config": {}}')
    for name in ("..", "0" * 16, "a/b"):
        with pytest.raises(Refusal, match="is not in"):
            StudyFolder(tmp_path).read_trial(name)
