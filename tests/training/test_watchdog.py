"""A process that stands still ends, and says where it stood."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from mdm import exits
from mdm.runs import starts
from mdm.runs.folder import RunFolder
from mdm.training import watchdog as watchdogs
from mdm.training.guards import GuardSettings
from mdm.training.watchdog import Watchdog, allowed

HANG = """
import ctypes, sys, threading, time
from mdm.runs import starts
from mdm.runs.folder import RunFolder
from mdm.training.guards import GuardSettings
from mdm.training.watchdog import Watchdog

def waits_for_a_row_that_never_comes():
    {hang}

settings = GuardSettings(step_seconds=0.5, first_step_seconds=30)
with Watchdog(settings) as watchdog, starts.begin(RunFolder(sys.argv[1]), 0) as starting:
    watchdog.opened(starting)
    watchdog.beat()
    time.sleep(0.2)
    waits_for_a_row_that_never_comes()
"""


def hang(how: str, folder: Path) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", HANG.format(hang=how), str(folder)], capture_output=True, text=True,
                          timeout=60, cwd=Path(__file__).parents[2])  # fmt: skip


def test_a_hung_process_ends_with_its_code_and_the_stacks_of_all_threads(tmp_path):
    done = hang("threading.Event().wait()", tmp_path / "run")
    assert done.returncode == exits.HUNG
    for told in (done.stderr, (tmp_path / "run/starts/1/stacks-0.txt").read_text()):
        assert "waits_for_a_row_that_never_comes" in told and "_watch" in told
    assert "HUNG" in done.stderr
    (start,) = starts.read(RunFolder(tmp_path / "run"))
    assert start.code == exits.HUNG and "no step was finished" in start.reason


def test_one_that_never_gives_the_interpreter_back_ends_too(tmp_path):
    done = hang("ctypes.PyDLL(None).sleep(40)", tmp_path / "run")
    assert done.returncode == exits.FAULT and "waits_for_a_row_that_never_comes" in done.stderr


def test_beats_keep_it_quiet(monkeypatch):
    ended = []
    monkeypatch.setattr(Watchdog, "_end", lambda self, still: ended.append(still))
    with Watchdog(GuardSettings(step_seconds=0.6)) as watchdog:
        for _ in range(10):
            watchdog.beat()
            time.sleep(0.1)
        assert not ended
        time.sleep(1.5)
    assert ended and ended[0] > 0.6


@pytest.mark.parametrize("settings", [GuardSettings(step_seconds=0), GuardSettings(first_step_seconds=0)])
def test_zero_switches_it_off(settings):
    with Watchdog(settings) as watchdog:
        assert not watchdog._thread.is_alive()


def test_it_is_patient_with_the_first_step_and_with_slow_ones(tmp_path):
    settings = GuardSettings(step_seconds=60, first_step_seconds=600, start_seconds=300)
    assert allowed(settings, []) == 60 and allowed(settings, [5.0]) == 60 and allowed(settings, [20.0]) == 200
    watchdog = Watchdog(settings)
    assert watchdog._allowed() == 300
    starting = starts.Starting(RunFolder(tmp_path), 1)
    watchdog.opened(starting)
    assert watchdog._allowed() == 600
    watchdog.beat()
    assert watchdog._allowed() == 60


def test_one_step_that_stood_still_does_not_make_it_patient(monkeypatch):
    """Nor does a save, which is watched and is no step."""
    now = 0.0
    monkeypatch.setattr(watchdogs.time, "monotonic", lambda: now)
    watchdog = Watchdog(GuardSettings(step_seconds=60))
    for seconds in (900.0, 20.0, 20.0, 1500.0, 22.0, 22.0):  # the first one compiles
        now += seconds
        watchdog.beat()
    assert watchdog._allowed() == 10 * 22.0
    for _ in range(20):
        with watchdog.aside():
            now += 1500.0
        now += 20.0
        watchdog.beat()
    assert watchdog._allowed() == 10 * 20.0


START = """
import sys, threading
from mdm import pretraining

def stale_mount(directory):
    threading.Event().wait()

pretraining.load = stale_mount
from tests.test_failures import settings
from mdm.runs.folder import RunFolder
pretraining.pretrain(settings(sys.argv[1], start_seconds=1.0), RunFolder(sys.argv[2]))
"""


def test_a_start_that_does_not_get_to_its_data_ends_too(tmp_path):
    done = subprocess.run([sys.executable, "-c", START, str(tmp_path), str(tmp_path / "run")], capture_output=True,
                          text=True, timeout=120, cwd=Path(__file__).parents[2])  # fmt: skip
    assert done.returncode == exits.HUNG, done.stderr
    assert "stale_mount" in done.stderr and "did not get as far as data" in done.stderr


def test_settings_that_make_no_sense_are_named():
    wrong = GuardSettings(starts=-1, memory=1.5, step_seconds=float("nan"))
    assert {problem.where for problem in wrong.problems("guards")} == {
        "guards.starts", "guards.memory", "guards.step_seconds"}  # fmt: skip
