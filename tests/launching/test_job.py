"""launch/job.sh: the environment fits the machines that the job runs on."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "arguments, given, extras",
    [
        (["--on=slurm", "--name=a"], None, "cuda"),
        (["--name=a", "--on", "slurm"], None, "cuda"),
        (["-on", "slurm"], None, "cuda"),
        (["--flagfile=flags"], None, "cuda"),
        (["--on=jobset"], None, "tpu"),
        (["--on=queued", "--name=slurm", "--workdir=gs://bucket/--on=slurm"], None, "tpu"),
        (["--on=slurm", "--on=xpk"], None, "tpu"),  # of a flag that is given twice the last one counts
        ([], None, "tpu"),
        (["--on=slurm"], "cuda,beam", "cuda,beam"),
    ],
)
def test_the_extra_is_that_of_the_hardware(tmp_path, arguments, given, extras):
    """On SLURM the nodes run the environment of the checkout: one for TPUs would leave them without CUDA."""
    (tmp_path / "launch").mkdir()
    shutil.copy(ROOT / "launch" / "job.sh", tmp_path / "launch")
    (tmp_path / "launch" / "environment.sh").write_text('python() { echo "$EXTRAS" "$@"; }\n')
    (tmp_path / "flags").write_text("--name=a\n--on=slurm\n")
    environment = {key: value for key, value in os.environ.items() if key != "EXTRAS"}
    if given:
        environment["EXTRAS"] = given
    done = subprocess.run(["bash", tmp_path / "launch" / "job.sh", *arguments], cwd="/", env=environment,
                          capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [extras, "-m", "mdm.launch", *arguments]


def test_setup_knows_both_extras():
    text = (ROOT / "setup.py").read_text(encoding="utf-8")
    assert '"cuda":' in text and '"tpu":' in text
