"""The long run in small: see tests/endurance.py."""

import json
import subprocess
import sys

import pytest

from mdm import config, exits
from tests.binaries import ROOT
from tests.tiny import tiny_config, write_data

STEPS = 1500


@pytest.mark.slow
def test_a_run_with_preemptions_another_mesh_and_a_follower_ends_with_a_report(tmp_path):
    write_data(tmp_path / "set")
    value = tiny_config(str(tmp_path / "set"))
    value["training"] |= {"tokens": STEPS * 8 * 96, "log_every": 5}
    value["checkpoints"] |= {"every": 100}
    # The other modalities of the synthetic data set have no codec, and a report shows what was made.
    value["data"] |= {"streams": {"text": value["data"]["streams"]["text"]}, "stages": [config.stage(text=1)]}
    file = tmp_path / "config.py"
    file.write_text(f"from ml_collections import ConfigDict\n\ndef get_config():\n    return ConfigDict({value!r})\n")
    done = subprocess.run(
        [sys.executable, "-m", "tests.endurance", f"--config={file}", f"--workdir={tmp_path / 'run'}", f"--steps={STEPS}",
         f"--report={tmp_path / 'report.html'}", "--preemptions=2"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr + (tmp_path / "run.log").read_text()[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["steps"] == STEPS
    assert found["without_evaluation"] == []
    codes = [process["code"] for process in found["processes"]]
    assert exits.PREEMPTED in codes
    assert set(codes) == {0, exits.PREEMPTED}
