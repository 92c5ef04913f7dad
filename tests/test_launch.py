"""The binary: a job is described by flags, checked as the trainer would check it, and printed."""

import functools
import os

from tests import binaries

JOB = ("--on=slurm", "--name=pod", "--workdir=/shared/run", "--config=experiments/tri_modal_3b.py:h100",
       "--hardware=h100:8")  # fmt: skip


launch = functools.partial(binaries.run, "launch", *JOB)


def test_a_job_is_printed_and_nothing_is_run(tmp_path):
    """With the settings and variables that were given, in their order, and no others."""
    (tmp_path / "sbatch").write_text("#!/bin/sh\ntouch started\n")
    (tmp_path / "sbatch").chmod(0o755)
    done = launch("--count=4", "--config.data.directory=/shared/a b", "--config.data.workers=4", "--env=A=b=c",
                  "--option=--partition=gpu", f"--output={tmp_path}/out",
                  environment={"PATH": f"{tmp_path}:{os.environ['PATH']}"})  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = [line.strip(" \\") for line in done.stdout.splitlines()]
    at = lines.index("--config=experiments/tri_modal_3b.py:h100")
    assert lines[at + 1 : at + 3] == ["'--config.data.directory=/shared/a b'", "--config.data.workers=4"]
    assert "export A=b=c" in lines and "#SBATCH --nodes=4" in lines
    assert [line for line in lines if line.startswith("####")] == ["######## launch.sh", "######## train.sbatch"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sbatch"]


def test_a_job_is_started_with_what_was_written(tmp_path):
    (tmp_path / "sbatch").write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\nexit 7\n')
    (tmp_path / "sbatch").chmod(0o755)
    (tmp_path / "squeue").write_text("#!/bin/sh\n")
    (tmp_path / "squeue").chmod(0o755)
    done = launch("--nodry_run", f"--output={tmp_path}/out", environment={"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert done.returncode == 7, done.stderr
    assert (tmp_path / "asked").read_text() == f"--parsable {tmp_path}/out/train.sbatch\n"
    assert "mdm.train" in (tmp_path / "out" / "train.sbatch").read_text()


def test_what_the_trainer_would_refuse_is_not_launched():
    done = launch("--count=3")  # 24 devices: neither the batch nor the heads divide by them
    assert done.returncode == 2 and "training.batch_size" in done.stderr and "Traceback" not in done.stderr


def test_a_config_that_the_container_does_not_hold_is_refused(tmp_path):
    (tmp_path / "own.py").write_text((binaries.ROOT / "experiments/tri_modal_3b.py").read_text())
    job = ("--on=jobset", "--name=pod", "--workdir=gs://bucket/run", "--hardware=v5p:4x4x4", "--image=registry/mdm:1")
    done = binaries.run("launch", *job, "--config=own.py:v5p", folder=tmp_path)
    assert done.returncode == 2 and "is not in the container" in done.stderr, done.stderr
