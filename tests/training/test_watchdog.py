"""A process that stands still ends, and says where it stood."""

import json
import math
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mdm import exits
from mdm.runs import starts
from mdm.runs.description import describe
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


TIMES = """
import sys, time
from mdm.runs import starts
from mdm.runs.folder import RunFolder
from mdm.training.guards import GuardSettings
from mdm.training.watchdog import Watchdog

settings = GuardSettings(start_seconds=1.5, first_step_seconds={first}, step_seconds={step})
with starts.begin(RunFolder(sys.argv[1]), 0) as starting, Watchdog(settings) as watchdog:
    time.sleep(0.2)  # for one look
    watchdog.opened(starting)
    if not settings.first_step_seconds:
        time.sleep(3.6)
        print("the first step stood still", flush=True)
    watchdog.beat()
    time.sleep(3.6)
    print("the second step stood still", flush=True)
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


def test_zero_switches_each_off_and_all_three_the_thread(tmp_path):
    """None of them does what another is for."""
    starting = starts.Starting(RunFolder(tmp_path), 1)
    names = ("start_seconds", "first_step_seconds", "step_seconds")
    for off in names:
        settings = GuardSettings(**dict.fromkeys(names, 60.0) | {off: 0.0})
        with Watchdog(settings) as watchdog:
            assert watchdog._thread.is_alive()
            found = [watchdog._allowed()]
            watchdog.opened(starting)
            found.append(watchdog._allowed())
            for _ in range(2):  # the second step also knows how long one takes
                watchdog.beat()
                found.append(watchdog._allowed())
        assert found == [math.inf if name == off else 60.0 for name in (*names, "step_seconds")], off
    with Watchdog(GuardSettings(**dict.fromkeys(names, 0.0))) as watchdog:
        assert not watchdog._thread.is_alive()


@pytest.mark.parametrize("first, step, code, told", [(0.0, 1.0, exits.HUNG, "the first"), (1.0, 0.0, 0, "the second")])
def test_what_is_not_watched_may_stand_still_and_what_follows_it_may_not(first, step, code, told, tmp_path):
    """The timer of the C library is put away too: it was set for what came before."""
    program = TIMES.format(first=first, step=step)
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "run")], capture_output=True, text=True,
                          timeout=60, cwd=Path(__file__).parents[2])  # fmt: skip
    assert (done.returncode, done.stdout) == (code, f"{told} step stood still\n"), done.stderr


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
import json, sys, threading
import jax
from mdm import pretraining

def stale_mount(directory):
    threading.Event().wait()

settings, folder, process, address = json.loads(sys.argv[1])
if address:
    jax.distributed.initialize(address, 2, process)
pretraining.load = stale_mount
from tests.test_failures import settings as settings_of
from mdm.runs.folder import RunFolder
pretraining.pretrain(settings_of(".", **settings), RunFolder(folder))
"""


def start(folder: Path, process: int = 0, address: str = "", **guards) -> subprocess.Popen:
    arguments = json.dumps([guards, str(folder), process, address])
    return subprocess.Popen([sys.executable, "-c", START, arguments], cwd=Path(__file__).parents[2], text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip


def ended(process: subprocess.Popen) -> tuple[int, str]:
    _, errors = process.communicate(timeout=120)
    return process.returncode, errors


def test_a_start_that_does_not_get_to_its_data_ends_and_counts(tmp_path):
    """Otherwise a launcher would start it a hundred times, half an hour each."""
    folder, codes = RunFolder(tmp_path / "run"), []
    for _ in range(2):
        code, errors = ended(start(folder.path, starts=1, start_seconds=1.0))
        assert "stale_mount" in errors and "did not get as far as data" in errors
        codes.append(code)
    assert codes == [exits.HUNG, exits.STUCK], errors
    assert "STUCK: 1 starts in a row" in errors
    own = starts.read(folder)
    assert [one.code for one in own] == codes and "did not get as far as data" in own[0].reason
    assert "1 starts in a row brought no step" in own[1].reason
    assert all("stale_mount" in (folder.start(number) / "stacks-0.txt").read_text() for number in (1, 2))
    assert folder.read_end()["reason"].startswith(f"code {exits.STUCK}")
    told = describe(folder)
    assert "did not get as far as data" in told and "starts/2/stacks-0.txt" in told


@pytest.mark.slow
def test_of_two_processes_that_do_not_get_to_their_data_one_counts_and_both_end_alike(tmp_path):
    folder = RunFolder(tmp_path / "run")
    for number, code in ((1, exits.HUNG), (2, exits.STUCK)):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{listener.getsockname()[1]}"
        # Process 0 looks first, and waits for the other: with it would go the service of JAX, and the other be aborted.
        both = [start(folder.path, process, address, starts=1, start_seconds=2.0 + 2 * process) for process in range(2)]
        told = [ended(process) for process in both]
        assert [found for found, _ in told] == [code] * 2, told
        assert [one.code for one in starts.read(folder)][number - 1 :] == [code]
        assert [path.name for path in folder.start(number).glob("stacks-*")] == ["stacks-0.txt"]


def test_a_start_that_hangs_is_not_counted_in_a_folder_that_another_job_holds(tmp_path):
    """Nor one twice that has its number and waits for other processes."""
    folder = RunFolder(tmp_path / "run")
    with starts.begin(folder, 0):
        assert ended(start(folder.path, start_seconds=1.0))[0] == exits.HUNG
        assert [one.number for one in starts.read(folder)] == [1]
        code, own = starts.hung(folder, 0, time.time(), "HUNG: it waited", 1)
        assert (code, own) == (exits.HUNG, folder.start(1))
        (first,) = starts.read(folder)
        assert first.code == exits.HUNG and first.reason == "HUNG: it waited"


def test_the_number_of_a_start_is_told_before_other_processes_are_waited_for(tmp_path, monkeypatch):
    """So that a process 0 that hangs there does not count itself a second time."""
    numbers = []

    def waits(act):
        act()
        raise TimeoutError("process 1 does not come")

    monkeypatch.setattr(starts.agreement, "led", waits)
    with pytest.raises(TimeoutError), starts.begin(RunFolder(tmp_path / "run"), 0, numbers.append):
        pass
    assert numbers == [1]


def test_settings_that_make_no_sense_are_named():
    wrong = GuardSettings(starts=-1, memory=1.5, step_seconds=float("nan"))
    assert {problem.where for problem in wrong.problems("guards")} == {
        "guards.starts", "guards.memory", "guards.step_seconds"}  # fmt: skip
