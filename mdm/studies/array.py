"""Array jobs: the same trials on a cluster, one a task, for SLURM and for Kubernetes (GKE).

A task runs the trial of its number. Every name that came from outside is quoted: see `mdm.launching.quoting`.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from mdm.launching import jobset, names, quoting
from mdm.launching import slurm as sbatch
from mdm.launching.hardware import Hardware
from mdm.problems import Problem, Refusal


def slurm(title: str, command: Sequence[str], trials: int, at_once: int) -> str:
    """An sbatch script. command: of a task, to which its number is added; at_once: most tasks that run at the same time.

    What a site wants beside it (partition, time, GPUs) is given to sbatch: options there go before those in the script.
    """
    options = {"array": f"0-{trials - 1}%{at_once}", "output": "%x-%A_%a.log"}
    return (
        f"{sbatch.header(names.of_title(title), options)}"
        "# A trial that is started again goes on from its newest checkpoint; one that is finished ends at once.\n"
        "set -euo pipefail\n"
        f'exec {shlex.join(command)} --number="$SLURM_ARRAY_TASK_ID"\n'
    )


def gke(
    title: str, command: Sequence[str], trials: int, at_once: int, image: str, hardware: Hardware | None = None
) -> str:
    """An indexed Kubernetes Job. command: as for `slurm`; hardware: a TPU slice for each task.

    Raises Refusal for hardware of several hosts, or for GPUs.
    """
    container: dict = {
        "name": "trial",
        "image": image,
        "command": ["sh", "-c", 'exec "$@" --number="$JOB_COMPLETION_INDEX"', "sh"],
        "args": quoting.dollars(command),
    }
    pod: dict = {"restartPolicy": "Never", **jobset.NOT_FIRST, "containers": [container]}
    if hardware:
        if hardware.platform != "tpu" or hardware.hosts > 1:
            raise Refusal(Problem("--hardware", str(hardware), "is not a TPU slice of one host", "e.g. v5p:2x2x1"))
        pod["nodeSelector"] = jobset.node_selector(hardware)
        container["resources"] = {"limits": {"google.com/tpu": hardware.chips}}
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": names.of_title(title)},
        "spec": {
            "completions": trials,
            "parallelism": min(at_once, trials),
            "completionMode": "Indexed",
            "backoffLimitPerIndex": 3,
            "template": {"spec": pod},
        },
    }
    return quoting.documents(job)
