"""The binaries: bad input ends with exit code 2 and a list of what is wrong, never with a traceback."""

import pytest

from tests.binaries import run

SMOKE = "--config=experiments/smoke.py"


@pytest.mark.parametrize(
    "binary, arguments, told",
    [
        ("train", [SMOKE, "--config.optimizer.learning_rte=1", "--workdir={}"], "learning_rate"),
        ("train", [SMOKE, "--config.training.batch_size=many", "--workdir={}"], "batch_size"),
        ("train", [SMOKE, "--config.model.width=-3", "--config.optimizer.beta1=2.0", "--workdir={}"], "model.width"),
        ("train", [SMOKE, "--config.data.directory={}/none", "--workdir={}/run"], "no prepared data set"),
        ("train", ["--config={}/none.py", "--workdir={}"], "none.py"),
        ("train", ["--workdir={}"], "--config"),
        ("train", [SMOKE], "workdir"),
        ("train", [SMOKE, "--workdir={}", "extra"], "unexpected arguments"),
        ("evaluate", ["--workdir={}/none"], "config.json"),
        (
            "generate",
            ["--workdir={}/none", "--task=sing", "--steps=0", "--guidance=-1", "--batch=0", "--prompts={}/none.txt"],
            "6 problems & config.json & sing & --steps & --guidance & --batch & none.txt",
        ),
        (
            "prepare",
            [SMOKE, "--config.prepare.sources.prose.path={}/none", "--output={}/out"],
            "prepare.sources.prose.path",
        ),
    ],
)
def test_refusals(tmp_path, binary, arguments, told):
    done = run(binary, *(argument.format(tmp_path) for argument in arguments))
    assert done.returncode == 2, done.stderr
    assert all(part in done.stderr for part in told.split(" & ")) and "Traceback" not in done.stderr


def test_a_refused_start_leaves_no_run_folder_behind(tmp_path):
    run("train", SMOKE, f"--config.data.directory={tmp_path}/none", f"--workdir={tmp_path}/run")
    assert not (tmp_path / "run").exists()
