"""Job descriptions, and programs that write down how they are called instead of doing anything."""

import dataclasses
import os
import subprocess
from pathlib import Path

import pytest

from mdm.launching.description import Description

TPU = Description(
    name="tri-modal-3b",
    config=("--config=experiments/tri_modal_3b.py:v5p",),
    directory="data/sets/one",
    data="gs://bucket/sets/one",
    workdir="gs://bucket/runs/3b",
    hardware="v5p:4x4x4",
    image="europe-docker.pkg.dev/project/mdm/mdm:1",
    evaluator="v5p:2x2x1",
    environment={"LIBTPU_INIT_ARGS": "--first=1 --second=2"},
)
GPU = dataclasses.replace(
    TPU,
    config=("--config=experiments/tri_modal_3b.py:h100", "--config.data.directory=/shared/data"),
    directory="/shared/data",
    data="",
    workdir="/shared/runs/3b",
    hardware="h100:8",
    image="",
    evaluator="h100:1",
    environment={"NCCL_DEBUG": "WARN"},
)
ZONE = {"project": "project", "zone": "us-east5-a"}
JOBS = {
    "tpu-vm": dataclasses.replace(TPU, **ZONE, priority="spot"),
    "queued": dataclasses.replace(TPU, **ZONE, count=2, evaluator="cpu", options=("--valid-until-duration=6h",)),
    "jobset": dataclasses.replace(TPU, count=2, priority="high", options=("--namespace=team",)),
    "xpk": dataclasses.replace(
        TPU,
        **ZONE,
        count=2,
        priority="high",
        cluster="pod",
        data="",
        directory="/data/sets/one",
        config=(*TPU.config, "--config.data.directory=/data/sets/one"),
    ),
    "slurm": dataclasses.replace(GPU, count=4, priority="high", options=("--partition=gpu", "--time=2-00:00:00")),
}

# Writes its name and arguments to $CALLS, a record that ends in \x01, and runs what stands in $STANDIN_<name>.
STANDIN = r"""#!/usr/bin/env bash
{ printf '%s\0' "${0##*/}" "$@"; printf '\1\0'; } >> "$CALLS"
what="STANDIN_${0##*/}"; what="${what//-/_}"
eval "${!what:-}"
"""
# gcloud: of each thing there is a file with its state; ssh runs its command here. srun, sudo: run what they are given.
GCLOUD = """
for argument; do case "$argument" in --command=*) exec bash -c "${argument#--command=}" ;; esac; done
case "$4" in
  describe)
    # A line of $CALLS.answers is for one call: a state, or an error.
    answer="$(head -n 1 "$CALLS.answers" 2>/dev/null)" && [[ -n "$answer" ]] && sed -i 1d "$CALLS.answers"
    case "$answer" in ERROR*) echo "$answer" >&2; exit 1 ;; ?*) echo "$answer"; exit ;; esac
    cat "$CALLS.state.$5" 2>/dev/null && exit
    echo "ERROR: (gcloud.compute.tpus.$3.describe) NOT_FOUND: Resource '$5' was not found." >&2
    exit 1
    ;;
  create) echo "$READY" > "$CALLS.state.$5" ;;
  delete) rm "$CALLS.state.$5" ;;
esac
"""
SRUN = 'while [[ "$1" == --* ]]; do shift; done; "$@"'
PROGRAMS = (
    "gcloud", "kubectl", "xpk", "sbatch", "srun", "scontrol", "squeue", "python", "systemctl", "systemd-run", "sudo",
    "mountpoint", "gcsfuse", "mkdir", "sleep",
)  # fmt: skip


class Machine:
    """Where scripts are run with stand-ins for all programs that would do something."""

    def __init__(self, folder: Path):
        self.folder, self._calls = folder, folder / "calls"
        programs = folder / "bin"
        programs.mkdir()
        for name in PROGRAMS:
            (programs / name).write_text(STANDIN)
            (programs / name).chmod(0o755)
        self.environment = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "CALLS": str(self._calls),
            "STANDIN_gcloud": GCLOUD,
            "STANDIN_srun": SRUN,
            "STANDIN_sudo": '"$@"',
            "STANDIN_mountpoint": "exit 1",
            "STANDIN_systemctl": "echo inactive; exit 3",
            "STANDIN_sbatch": "echo '42;cluster'",
            "STANDIN_squeue": 'if [[ "$*" != *--name=* ]]; then echo RUNNING; fi',
            "READY": "READY",
            "SLURM_JOB_ID": "42",
        }

    def write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            (self.folder / name).write_text(text)

    def start(self, script: str, **more: str) -> subprocess.Popen:
        return subprocess.Popen(
            ["bash", script], cwd=self.folder, env=self.environment | more, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def run(self, script: str, **more: str) -> tuple[int, str]:
        """Exit code, and what was said on standard error."""
        process = self.start(script, **more)
        _, errors = process.communicate(timeout=30)
        return process.returncode, errors

    def calls(self, program: str) -> list[list[str]]:
        """The arguments of each call of a program so far."""
        text = self._calls.read_bytes().decode() if self._calls.exists() else ""
        records = [record.split("\0")[:-1] for record in text.split("\1\0")[:-1]]
        return [arguments for name, *arguments in records if name == program]

    def state(self, name: str, state: str) -> None:
        """Of a thing that gcloud is asked for."""
        Path(f"{self._calls}.state.{name}").write_text(state)

    def answers(self, *lines: str) -> None:
        """What gcloud says first when it is asked for states, a line a time: a state, or an error that begins with ERROR."""
        Path(f"{self._calls}.answers").write_text("".join(f"{line}\n" for line in lines))


@pytest.fixture
def machine(tmp_path) -> Machine:
    return Machine(tmp_path)
