"""The copy of the log in the run folder ends with what went wrong, on every process."""

import pytest
from etils import epath

from mdm.problems import Problem, Refusal
from mdm.runs.text_log import TextLog
from tests.runs.test_agreement import on_two_processes

FAILS = """
import json, sys
import jax
from mdm.runs import agreement, starts
from mdm.runs.folder import RunFolder
from mdm.runs.text_log import TextLog

jax.distributed.initialize(sys.argv[1], 2, int(sys.argv[2]))

def reads_its_rows():
    if agreement.process() == 1:
        raise RuntimeError("the mount of this host is stale")

try:
    with starts.begin(RunFolder(sys.argv[3]), 0) as starting, TextLog(starting.folder / f"log-{agreement.process()}.txt"):
        agreement.together(reads_its_rows)
except Exception as error:
    print(json.dumps(type(error).__name__))
"""


def test_what_fails_on_another_process_than_0_is_told_in_its_log(tmp_path):
    assert on_two_processes(FAILS, str(tmp_path / "run")) == ["Fault", "RuntimeError"]
    first, second = ((tmp_path / f"run/starts/1/log-{process}.txt").read_text() for process in range(2))
    assert "ended with Fault: process 1 could not go on" in first and "Traceback" not in first
    assert "Traceback" in second and "in reads_its_rows" in second and "the mount of this host is stale" in second


def test_what_is_refused_has_no_traceback_and_what_ends_well_says_nothing(tmp_path):
    with pytest.raises(Refusal), TextLog(epath.Path(tmp_path / "log-0.txt")):
        raise Refusal(Problem("data.seed", 3, "is another one", "use 2"))
    told = (tmp_path / "log-0.txt").read_text()
    assert "ended with Refusal" in told and "data.seed" in told and "Traceback" not in told
    with TextLog(epath.Path(tmp_path / "log-1.txt")):
        pass
    assert (tmp_path / "log-1.txt").read_text() == ""
