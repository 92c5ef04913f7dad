"""A run that is killed at random instants is the run that nobody disturbed; see tests/chaos.py."""

import os
import subprocess
import sys

import pytest

from tests.binaries import ROOT


@pytest.mark.parametrize("kills", [4, pytest.param(50, marks=pytest.mark.slow)])
def test_kills_change_nothing(tmp_path, kills):
    """Four of one process: in a save, in a restore or another save, in the first step, while rows are read ahead. The long form
    also kills one of two processes, evaluations, and runs that have been killed often."""
    command = [sys.executable, "-m", "tests.chaos", f"--folder={tmp_path}", f"--kills={kills}"]
    done = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[-4000:] + (tmp_path / "victims.log").read_text()[-4000:]
    assert f"{kills} kills" in done.stdout
