"""Array jobs: the same trials on a cluster, one a task, for SLURM and for Kubernetes (GKE).

A task runs the trial of its number. Every name that came from outside is quoted: for the shell by shlex, for YAML by its writer,
and for Kubernetes, which replaces $(NAME) in arguments, by doubling the dollar.
"""

from __future__ import annotations

import dataclasses
import math
import re
import shlex
from collections.abc import Sequence

import yaml

from mdm.problems import Problem, Refusal


@dataclasses.dataclass(frozen=True)
class Tpu:
    """accelerator, topology: as GKE names them, e.g. tpu-v5p-slice and 2x2x1; a slice of one host."""

    accelerator: str
    topology: str

    @classmethod
    def of(cls, text: str) -> Tpu:
        """From ACCELERATOR:TOPOLOGY. Raises Refusal."""
        accelerator, _, topology = text.partition(":")
        if not accelerator or not re.fullmatch(r"\d+(x\d+)+", topology):
            raise Refusal(Problem("--tpu", text, "is not ACCELERATOR:TOPOLOGY", "e.g. tpu-v5p-slice:2x2x1"))
        return cls(accelerator, topology)

    @property
    def chips(self) -> int:
        return math.prod(map(int, self.topology.split("x")))


def slurm(title: str, command: Sequence[str], trials: int, at_once: int) -> str:
    """An sbatch script. command: of a task, to which its number is added; at_once: most tasks that run at the same time.

    What a site wants beside it (partition, time, GPUs) is given to sbatch: options there go before those in the script.
    """
    return "\n".join((
        "#!/bin/bash",
        f"#SBATCH --job-name={job_name(title)}",
        f"#SBATCH --array=0-{trials - 1}%{at_once}",
        "#SBATCH --output=%x-%A_%a.log",
        "#SBATCH --requeue",
        "# A trial that is started again goes on from its newest checkpoint; one that is finished ends at once.",
        "set -euo pipefail",
        f'exec {shlex.join(command)} --number="$SLURM_ARRAY_TASK_ID"',
        "",
    ))  # fmt: skip


def gke(title: str, command: Sequence[str], trials: int, at_once: int, image: str, tpu: Tpu | None = None) -> str:
    """An indexed Kubernetes Job. command: as for `slurm`."""
    container: dict = {
        "name": "trial",
        "image": image,
        "command": ["sh", "-c", 'exec "$@" --number="$JOB_COMPLETION_INDEX"', "sh"],
        "args": [part.replace("$", "$$") for part in command],
    }
    pod: dict = {"restartPolicy": "Never", "containers": [container]}
    if tpu:
        pod["nodeSelector"] = {
            "cloud.google.com/gke-tpu-accelerator": tpu.accelerator,
            "cloud.google.com/gke-tpu-topology": tpu.topology,
        }
        container["resources"] = {"limits": {"google.com/tpu": tpu.chips}}
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": job_name(title)},
        "spec": {
            "completions": trials,
            "parallelism": min(at_once, trials),
            "completionMode": "Indexed",
            "backoffLimitPerIndex": 3,
            "template": {"spec": pod},
        },
    }
    return yaml.safe_dump(job, sort_keys=False, width=130)


def job_name(title: str) -> str:
    """Of a job: letters, digits and hyphens, as Kubernetes wants it (RFC 1123, and short enough for the names of its pods)."""
    name = re.sub("[^a-z0-9]+", "-", title.lower()).strip("-")[:40].strip("-")
    return f"mdm-{name}" if name else "mdm-study"
