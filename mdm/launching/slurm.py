"""SLURM, for GPU nodes: a job for the trainer, another for the evaluator, in the environment that sbatch is called from.

One process a node. srun gives each SLURM_JOB_ID, SLURM_STEP_NODELIST, SLURM_NTASKS, SLURM_PROCID and SLURM_LOCALID: from these
`jax.distributed.initialize()` knows coordinator (the first node), number of processes and its own number
(jax/_src/clusters/slurm_cluster.py). It would also take only the GPU of the local number, as if there were a process for each:
JAX_LOCAL_DEVICE_IDS gives it all of its node.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from mdm.exits import FINAL
from mdm.launching import quoting, script
from mdm.launching.description import Description, Rendering
from mdm.launching.hardware import Hardware
from mdm.problems import Problem

# Without --kill-on-bad-exit: srun tells the largest code of its tasks, and that of one that it killed itself (137) would hide
# theirs. After the first has ended the others get a minute to end in their own way.
_SRUN = ("srun", "--kill-on-bad-exit=0", "--wait=60")
_FOLLOWER_CORES = 8
_WHERE = ("--clusters", "--cluster")  # the flag of sbatch that squeue and scancel take too
# Two jobs of one name would write into one run folder: the second one is refused by the run's lock, at the price of its nodes.
_REFUSE = """\
there="$(squeue --noheader --user="$(id --user --name)" --name={names} --format=%A{where})"
if [[ -n "$there" ]]; then
  echo {told}"${{there//$'\\n'/ }} stops it; then run this script again" >&2
  exit 1
fi
"""


def problems(description: Description) -> list[Problem]:
    found = description.only(("gpu", "cpu"), "SLURM", "take GPUs, or launch on GKE or TPU VMs")
    if description.image:
        remedy = "leave it away, and call from an environment with mdm in it"
        found.append(
            Problem("--image", description.image, "is not run: sites differ in how they run containers", remedy)
        )
    found += description.unmounted("SLURM nodes", "name the folder, as the nodes see it, as --config.data.directory")
    found += [
        Problem(f"--{key}", getattr(description, key), "means nothing to SLURM", "leave it away")
        for key in ("project", "zone", "cluster")
        if getattr(description, key)
    ]
    return found


def render(description: Description) -> Rendering:
    qos = [f"--qos={description.priority}"] if description.priority else []
    flags = "".join(f" {shlex.quote(flag)}" for flag in (*qos, *description.options))
    where = "".join(f" {shlex.quote(flag)}" for flag in description.options if flag.partition("=")[0] in _WHERE)
    names = f"{description.name},{description.name}-follower"
    told = shlex.quote(f"{description.name} is there and has not ended. scancel{where} ")
    text = script.head() + script.HERE + _REFUSE.format(names=names, where=where, told=told)
    text += f'trainer="$(sbatch --parsable{flags} "$here/train.sbatch")"\n'
    text += 'trainer="${trainer%%;*}"  # a federation adds its cluster\necho "trainer: job $trainer"\n'
    files = {"train.sbatch": _trainer(description)}
    if description.beside:
        # It need not wait for nodes before the trainer has some.
        text += f'follower="$(sbatch --dependency="after:$trainer" --parsable{flags} "$here/follow.sbatch")"\n'
        text += 'follower="${follower%%;*}"\necho "evaluator: job $follower"\n'
        text += 'echo "To stop both: scancel $trainer $follower"\n'
        files["follow.sbatch"] = _follower(description, description.beside)
    return Rendering(text, files)


def header(name: str, options: Mapping[str, object]) -> str:
    """What an sbatch script begins with. A flag without a value has None; values are numbers and our own words: nothing can be
    quoted in a comment."""
    flags = {"job-name": name, **options, "requeue": None}
    lines = [f"#SBATCH --{key}" + ("" if value is None else f"={value}") for key, value in flags.items()]
    return "\n".join(("#!/bin/bash", *lines, ""))


def _trainer(description: Description) -> str:
    """Whole nodes: SLURM would give one core to one process, and reading takes many."""
    options = {"nodes": description.count, "ntasks-per-node": 1, "exclusive": None, "mem": 0}
    return _job(description, description.name, description.slice, options, description.trainer)


def _follower(description: Description, hardware: Hardware) -> str:
    options = {"nodes": 1, "ntasks-per-node": 1, "cpus-per-task": _FOLLOWER_CORES}
    return _job(description, f"{description.name}-follower", hardware, options, description.follower)


def _job(
    description: Description, name: str, hardware: Hardware, options: Mapping[str, object], command: Sequence[str]
) -> str:
    variables = description.variables(hardware)
    if hardware.platform == "gpu":
        options = {**options, "gpus-per-node": hardware.chips}
        variables = {"JAX_LOCAL_DEVICE_IDS": ",".join(map(str, range(hardware.chips))), **variables}
    # The signal goes to the processes so long before the time is up; a job that is preempted gets it from the scheduler.
    options = {**options, "signal": f"TERM@{description.grace}", "open-mode": "append", "output": "%x-%j.log"}
    exports = "".join(f"export {key}={shlex.quote(value)}\n" for key, value in variables.items())
    final = "|".join(map(str, (0, *FINAL)))
    return (
        f"{header(name, options)}set -uo pipefail\n"
        "trap : TERM  # a signal to all of the job must not end this shell before its processes have saved\n"
        f"{exports}"
        "code=0\n"
        f"{quoting.command(_SRUN, command)} || code=$?\n"
        'case "$code" in\n'
        f'  {final}) exit "$code" ;;  # finished, or starting again would end the same way\n'
        "esac\n"
        f'if (( ${{SLURM_RESTART_COUNT:-0}} >= {description.restarts} )); then exit "$code"; fi\n'
        'case "$(squeue --noheader --jobs="$SLURM_JOB_ID" --states=all --format=%T || true)" in\n'
        '  COMPLETING | CANCELLED) exit "$code" ;;  # scancel: a job that is requeued now would be there again\n'
        "esac\n"
        'scontrol requeue "$SLURM_JOB_ID" || exit "$code"  # refused behind: scontrol update JobId=… Requeue=0\n'
    )
