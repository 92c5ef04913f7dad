"""A real SLURM takes the scripts, signals them and starts them again: its daemons run for a moment on this machine, with two
nodes whose GPUs are empty files.

Needs slurmctld, slurmd, sbatch and srun (Debian: apt-get install slurm-wlm) and the right to run them (root).
"""

import dataclasses
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from mdm.launching.platforms import render
from tests.launching.conftest import JOBS

ROOT = Path(__file__).parents[2]
PROGRAMS = ("slurmctld", "slurmd", "sbatch", "srun", "scontrol", "squeue")
CONFIG = """\
ClusterName=test
SlurmctldHost=localhost
SlurmUser=root
SlurmdUser=root
AuthType=auth/none
CredType=cred/none
SlurmctldPort={0}
StateSaveLocation={folder}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdSpoolDir={folder}/spool-%n
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SwitchType=switch/none
GresTypes=gpu
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName=node1 NodeHostname=localhost NodeAddr=127.0.0.1 Port={1} CPUs=16 Gres=gpu:8 State=UNKNOWN
NodeName=node2 NodeHostname=localhost NodeAddr=127.0.0.1 Port={2} CPUs=16 Gres=gpu:8 State=UNKNOWN
PartitionName=gpu Nodes=ALL Default=YES State=UP PriorityTier=1 GraceTime=20
PartitionName=urgent Nodes=ALL State=UP PriorityTier=10
"""
# Beside the trainer's end by request it tells what `jax.distributed.initialize()` finds out from its environment.
TRAINER = """#!/usr/bin/env bash
"$REAL_PYTHON" -c '
import os
from jax._src.clusters.slurm_cluster import SlurmCluster as cluster
assert cluster.is_env_present()
print(cluster.get_process_id(), cluster.get_process_count(), cluster.get_coordinator_address(1, None).split(":")[0],
      os.environ["JAX_LOCAL_DEVICE_IDS"], flush=True)
'
trap 'sleep 1; echo saved; exit 75' TERM
touch "began-$SLURM_PROCID"
if [[ "${SLURM_RESTART_COUNT:-0}" == 1 ]]; then exit 0; fi
while true; do sleep 0.1; done
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        any(shutil.which(name) is None for name in PROGRAMS) or os.geteuid() != 0, reason="needs SLURM, and root"
    ),
]


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class Cluster:
    def __init__(self, folder: Path, environment: dict):
        self.folder, self.environment = folder, environment

    def say(self, *command: object, fails: bool = False) -> str:
        done = subprocess.run(
            [str(part) for part in command], cwd=self.folder, env=self.environment, capture_output=True, text=True
        )
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stdout + done.stderr

    def wait_for(self, told: str, *command: str, seconds: float = 30) -> None:
        end = time.monotonic() + seconds
        while told not in self.say(*command):
            assert time.monotonic() < end, self.say(*command)
            time.sleep(0.2)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slurm")
    (folder / "slurm.conf").write_text(CONFIG.format(*free_ports(3), folder=folder))
    (folder / "gres.conf").write_text(f"NodeName=node[1-2] Name=gpu File={folder}/gpu[0-7]\n")
    for number in range(8):
        (folder / f"gpu{number}").touch()
    programs = folder / "bin"
    programs.mkdir()
    (programs / "python").write_text(TRAINER)
    (programs / "python").chmod(0o755)
    environment = {
        **os.environ,
        "SLURM_CONF": str(folder / "slurm.conf"),
        "PATH": f"{programs}:{os.environ['PATH']}",
        "REAL_PYTHON": shutil.which("python"),
    }
    daemons = []
    for command in (["slurmctld", "-D"], ["slurmd", "-D", "-N", "node1"], ["slurmd", "-D", "-N", "node2"]):
        if command[0] == "slurmd":
            (folder / f"spool-{command[-1]}").mkdir()
        with open(folder / f"{command[-1]}.out", "w") as out:
            daemons.append(subprocess.Popen(command, env=environment, stdout=out, stderr=out))
    try:
        time.sleep(1)
        found = Cluster(folder, environment)
        found.wait_for("2 idle", "sinfo", "--noheader", "--format=%D %t", "--partition=gpu")
        yield found
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
        for daemon in daemons:
            daemon.wait(timeout=30)


def test_sbatch_takes_every_script(cluster):
    job = dataclasses.replace(JOBS["slurm"], count=2)
    files = {**render("slurm", job).files, "array.sbatch": (ROOT / "tests/golden/studies/array.sbatch").read_text()}
    for name, text in files.items():
        (cluster.folder / name).write_text(text)
        assert "to start at" in cluster.say("sbatch", "--test-only", name)
    many = render("slurm", dataclasses.replace(job, count=3)).files["train.sbatch"]
    (cluster.folder / "many.sbatch").write_text(many)
    assert "not available" in cluster.say("sbatch", "--test-only", "many.sbatch", fails=True)


def begun(cluster) -> tuple[str, Path]:
    """Number and log of a job on both nodes, which trains."""
    for path in cluster.folder.glob("began-*"):
        path.unlink()
    job = dataclasses.replace(JOBS["slurm"], count=2, options=(), priority="", evaluator="")
    for name, text in render("slurm", job).all().items():
        (cluster.folder / name).write_text(text)
    number = cluster.say("bash", "launch.sh").split()[-1]
    cluster.wait_for("began-1", "ls")
    cluster.wait_for("began-0", "ls")
    return number, cluster.folder / f"{job.name}-{number}.log"


@pytest.mark.parametrize(
    "commands, state",
    [
        ([("scancel", "{}")], "CANCELLED"),
        # The way that gives it all the time it wants for its last checkpoint.
        ([("scontrol", "update", "JobId={}", "Requeue=0"), ("scancel", "--signal=TERM", "{}")], "FAILED"),
    ],
)
def test_a_stopped_job_saves_and_stays_stopped(cluster, commands, state):
    """The two ways of README's run-book."""
    number, log = begun(cluster)
    assert f"scancel {number} stops it" in cluster.say("bash", "launch.sh", fails=True)
    for command in commands:
        cluster.say(*(part.format(number) for part in command))
    cluster.wait_for(f"JobState={state}", "scontrol", "show", "job", number)
    assert log.read_text().count("saved") == 2


def test_a_preempted_job_saves_and_is_started_again(cluster):
    number, log = begun(cluster)
    (cluster.folder / "urgent").write_text("#!/usr/bin/env bash\nexit 0\n")
    cluster.say("sbatch", "--partition=urgent", "--nodes=2", "--exclusive", "urgent")
    cluster.wait_for("Restarts=1", "scontrol", "show", "job", number)
    cluster.say("scontrol", "update", f"JobId={number}", "StartTime=now")  # it would rest for two minutes
    cluster.wait_for("JobState=COMPLETED", "scontrol", "show", "job", number)
    told = log.read_text()
    assert told.count("saved") == 2
    for process in (0, 1):
        assert told.count(f"{process} 2 node1 0,1,2,3,4,5,6,7\n") == 2
