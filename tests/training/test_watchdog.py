"""A process that stands still ends, and says where it stood."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from etils import epath

from mdm import exits
from mdm.training.guards import GuardSettings
from mdm.training.watchdog import Watchdog, allowed

HANG = """
import ctypes, sys, threading, time
from etils import epath
from mdm.training.guards import GuardSettings
from mdm.training.watchdog import Watchdog

def waits_for_a_row_that_never_comes():
    {hang}

with Watchdog(GuardSettings(step_seconds=0.5, first_step_seconds=30), epath.Path(sys.argv[1])) as watchdog:
    watchdog.beat()
    time.sleep(0.2)
    waits_for_a_row_that_never_comes()
"""


def hang(how: str, stacks: Path) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", HANG.format(hang=how), str(stacks)], capture_output=True, text=True,
                          timeout=60, cwd=Path(__file__).parents[2])  # fmt: skip


def test_a_hung_process_ends_with_its_code_and_the_stacks_of_all_threads(tmp_path):
    done = hang("threading.Event().wait()", tmp_path / "stacks.txt")
    assert done.returncode == exits.HUNG
    for told in (done.stderr, (tmp_path / "stacks.txt").read_text()):
        assert "waits_for_a_row_that_never_comes" in told and "_watch" in told
    assert "HUNG" in done.stderr


def test_one_that_never_gives_the_interpreter_back_ends_too(tmp_path):
    done = hang("ctypes.PyDLL(None).sleep(40)", tmp_path / "stacks.txt")
    assert done.returncode == exits.FAULT and "waits_for_a_row_that_never_comes" in done.stderr


def test_beats_keep_it_quiet(tmp_path, monkeypatch):
    ended = []
    monkeypatch.setattr(Watchdog, "_end", lambda self, still: ended.append(still))
    with Watchdog(GuardSettings(step_seconds=0.6), epath.Path(tmp_path / "stacks.txt")) as watchdog:
        for _ in range(10):
            watchdog.beat()
            time.sleep(0.1)
        assert not ended
        time.sleep(1.5)
    assert ended and ended[0] > 0.6


@pytest.mark.parametrize("settings", [GuardSettings(step_seconds=0), GuardSettings(first_step_seconds=0)])
def test_zero_switches_it_off(tmp_path, settings):
    with Watchdog(settings, epath.Path(tmp_path / "stacks.txt")) as watchdog:
        assert not watchdog._thread.is_alive()


def test_it_is_patient_with_the_first_step_and_with_slow_ones():
    settings = GuardSettings(step_seconds=60, first_step_seconds=600)
    assert allowed(settings, None) == 600
    assert allowed(settings, 0.0) == 60 and allowed(settings, 5.0) == 60 and allowed(settings, 20.0) == 200


def test_settings_that_make_no_sense_are_named():
    wrong = GuardSettings(starts=-1, memory=1.5, step_seconds=float("nan"))
    assert {problem.where for problem in wrong.problems("guards")} == {
        "guards.starts", "guards.memory", "guards.step_seconds"}  # fmt: skip
