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
        ("train", [SMOKE, "--workdir=s3://bucket/run"], "s3:// is no store & gs://"),
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


@pytest.mark.parametrize(
    "text, told",
    [
        ("def get_config(:\n", "config.py:1: SyntaxError"),
        ("\nimport nothing_of_that_name\n", "config.py:2: ModuleNotFoundError"),
        ("def get_config():\n    return 1 / 0\n", "config.py:2: ZeroDivisionError"),
        ("def get_config():\n    return len(3)\n", "config.py:2: TypeError"),
        ("def get_config():\n    return open('/none/at/all')\n", "config.py:2: FileNotFoundError"),
        (
            "from mdm import config\ndef get_config():\n    return config.stage(text='x', 3)\n",
            "config.py:3: SyntaxError",
        ),
        ("def get_config():\n    return {}\n", "ConfigDict"),
    ],
)
def test_a_broken_config_file_is_refused_with_its_line(tmp_path, text, told):
    (tmp_path / "config.py").write_text(text)
    done = run("train", f"--config={tmp_path}/config.py", f"--workdir={tmp_path}/run")
    assert done.returncode == 2, done.stderr
    assert told in done.stderr and "Traceback" not in done.stderr


def test_a_refused_start_leaves_no_run_folder_behind(tmp_path):
    run("train", SMOKE, f"--config.data.directory={tmp_path}/none", f"--workdir={tmp_path}/run")
    assert not (tmp_path / "run").exists()
