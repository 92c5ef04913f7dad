"""The long run in small: see tests/endurance.py."""

import json
import subprocess
import sys

import numpy as np
import pytest

from mdm import config, exits
from tests import endurance
from tests.binaries import ROOT
from tests.tiny import tiny_config, write_data

STEPS = 1500


def held(minutes: float, mib_an_hour: float, noise: float = 5.0) -> dict:
    """The figures of a process that was warm for so long."""
    seconds = np.arange(0.0, endurance.WARM + 60 * minutes, endurance.LOOK)
    mib = 900 + mib_an_hour * seconds / 3600 + np.random.default_rng(0).normal(0, noise, len(seconds))
    return endurance.memory(list(zip(seconds, mib, strict=True)))


@pytest.mark.parametrize(
    "figures, told",
    [
        (held(60, 500), True),
        (held(60, 230), True),
        (held(60, 180), False),
        (held(60, 0), False),
        (held(60, -500), False),
        (held(8, 2000), False),  # too short: it may still fill its caches
        (held(0.5, 2000), False),
        (held(12, 300, noise=150.0), False),  # within two standard errors
    ],
)
def test_a_process_that_grows_is_told(figures, told):
    process = {"process": "train", "code": 0} | figures
    assert endurance.growing([process, {"process": "evaluate", "code": 0}], 200.0) == ([process] if told else [])


def test_growth_fails_the_program():
    found = {"without_evaluation": [], "growing": [], "report": True, "processes": [{"code": 0}]}
    assert not endurance.bad(found)
    for key, value in {
        "growing": [{"code": 0}],
        "report": False,
        "without_evaluation": [3],
        "processes": [{"code": 1}],
    }.items():
        assert endurance.bad(found | {key: value}), key


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
    assert found["without_evaluation"] == [] and found["growing"] == []
    codes = [process["code"] for process in found["processes"]]
    assert exits.PREEMPTED in codes
    assert set(codes) == {0, exits.PREEMPTED}
