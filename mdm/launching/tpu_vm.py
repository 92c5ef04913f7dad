"""TPU VMs through gcloud: machines asked for directly (one slice) or as a queued resource (any number).

The script may be run again at any time, by hand or by cron: it asks for machines that are not there (or were preempted), and
starts what does not run. On each host a systemd unit runs the container: it outlives the connection, hands SIGTERM on when the
host goes down, and starts the process again unless it ended with a code of FINAL.

`jax.distributed.initialize()` knows coordinator and numbers from the metadata server of the VM: agent-worker-number,
worker-network-endpoints, and with several slices MEGASCALE_COORDINATOR_ADDRESS, MEGASCALE_NUM_SLICES and MEGASCALE_SLICE_ID in
tpu-env (jax/_src/clusters/cloud_tpu_cluster.py, GceTpuCluster).
"""

from __future__ import annotations

import shlex
import signal
from collections.abc import Sequence
from pathlib import PurePosixPath

from mdm.exits import FINAL, PREEMPTED
from mdm.fingerprint import fingerprint
from mdm.launching import quoting, script
from mdm.launching.description import MOUNT, Description, Rendering
from mdm.launching.hardware import Hardware
from mdm.problems import Problem

# How a container ends that was asked to go: the trainer once it has saved; the evaluator, and a trainer that was not yet so far,
# by SIGTERM itself.
_ASKED = f"{PREEMPTED} {128 + signal.SIGTERM}"
_AGAIN = (
    "# It may be run again at any time: it starts what does not run, and asks anew for machines that were taken away.\n"
)
_FUNCTIONS = """\
# The state of what was asked for; nothing if it is not there. A failure (of the network, of a token) tells neither: UNKNOWN.
errors="$(mktemp)"
trap 'rm -f "$errors"' EXIT
state() {{
  gcloud compute tpus {what} describe "$1" {where} --format='value({field})' 2> "$errors" && return
  if grep --quiet NOT_FOUND "$errors"; then return; fi
  cat "$errors" >&2
  echo UNKNOWN
}}

# What was taken away is given back, so that it can be asked for again.
give_back() {{
  case "$(state "$1")" in
    {taken}) gcloud compute tpus {what} delete "$1" {where} {delete} ;;
  esac
}}

await() {{
  local now
  while now="$(state "$1")" && [[ "$now" != {ready} ]]; do
    case "$now" in
      "" | STOP* | SUSPENDING | DELETING | {taken})
        echo "$1: ${{now:-gone}} before it was ready; run this script again" >&2
        return 1
        ;;
      UNKNOWN) echo "$1: its state cannot be asked for; this script goes on asking" >&2 ;;
    esac
    sleep 30
  done
}}

"""
# A unit that runs is left alone if it is this one; one that failed for good stays failed until somebody has looked.
_UNLESS = """\
case "$(systemctl is-active {unit} || true)" in
  active | activating | deactivating)
    if [ "$(systemctl show --property=Description --value {unit})" = {mark} ]; then exit 0; fi
    echo "{unit} runs with other settings: sudo systemctl stop {unit} ends it; then run this script again" >&2
    exit 1
    ;;
  failed)
    echo "{unit} failed: sudo journalctl --unit={unit} tells why, sudo systemctl reset-failed {unit} lets it start again" >&2
    exit 1
    ;;
esac
"""
# With the machine a mount goes, and with a run of this script it comes back.
_MOUNTED = """\
if ! mountpoint --quiet {mount}; then
  command -v gcsfuse > /dev/null || {{ echo "install Cloud Storage FUSE (gcsfuse) on this host" >&2; exit 1; }}
  sudo mkdir -p {mount}
  sudo gcsfuse -o ro,allow_other --implicit-dirs {bucket} {mount}
fi
"""
# Docker would find out, too: a hundred times, where nobody looks.
_THERE = """\
test -d {folder} || {{ echo {told} >&2; exit 1; }}
"""
# Behind the trainer's start, and apart: a request that is refused or has to wait must not keep paid slices idle. A subshell in no
# condition: `set -e` would hold in no other.
_EVALUATOR = """\
set +e
(
set -e
{start})
code=$?
if (( code )); then
  echo "THE EVALUATOR WAS NOT STARTED, see above. The trainer runs; run this script again for its evaluator" >&2
fi
exit "$code"
"""


class _Directly:
    """Machines of one slice, as gcloud makes them."""

    what, field, ready, taken, delete = "tpu-vm", "state", "READY", "PREEMPTED | TERMINATED", "--quiet"
    priorities = ("", "spot", "reserved")

    def create(self, hardware: Hardware, name: str, count: int) -> list[str]:
        return [*_accelerator(hardware), f"--version={hardware.generation.runtime}"]


class _Queued:
    """Machines of any number of slices, when Google Cloud has them."""

    what, field, ready, taken, delete = (
        "queued-resources",
        "state.state",
        "ACTIVE",
        "FAILED | SUSPENDED",
        "--force --quiet",
    )
    priorities = ("", "spot", "reserved", "guaranteed")

    def create(self, hardware: Hardware, name: str, count: int) -> list[str]:
        nodes = [f"--node-id={name}"] if count == 1 else [f"--node-count={count}", f"--node-prefix={name}"]
        return [*_accelerator(hardware), f"--runtime-version={hardware.generation.runtime}", *nodes]


def _accelerator(hardware: Hardware) -> list[str]:
    if hardware.generation.by_grid:
        return [f"--type={hardware.name}", f"--topology={hardware.shape}"]
    return [f"--accelerator-type={hardware.accelerator_type}"]


def problems(description: Description) -> list[Problem]:
    found = _problems(description, _Directly())
    if description.count > 1:
        remedy = "launch on queued, or on GKE"
        found.append(Problem("--count", description.count, "slices that know each other are queued resources", remedy))
    return found


def queued_problems(description: Description) -> list[Problem]:
    return _problems(description, _Queued())


def render(description: Description) -> Rendering:
    return _render(description, _Directly())


def render_queued(description: Description) -> Rendering:
    return _render(description, _Queued())


def _problems(description: Description, way: _Directly | _Queued) -> list[Problem]:
    found = description.containers("the TPU VM")
    found += description.only(("tpu", "cpu"), "a TPU VM", "take TPUs, or launch on SLURM")
    if not description.zone:
        found.append(Problem("--zone", None, "is not given", "name the zone of the TPUs, e.g. us-east5-a"))
    if not description.data and not PurePosixPath(description.directory).is_absolute():
        remedy = "name a folder of the hosts from / on, or the bucket with the data set, --data=gs://BUCKET/FOLDER"
        found.append(
            Problem("data.directory", description.directory, "is no folder that a container can be given", remedy)
        )
    if description.priority not in way.priorities:
        remedy = f"use one of {', '.join(filter(None, way.priorities))}, or nothing"
        found.append(Problem("--priority", description.priority, "is not known here", remedy))
    if not description.problems() and description.slice.platform == "tpu":
        found += _not_sold("--hardware", description.slice)
    return found


def _not_sold(where: str, hardware: Hardware) -> list[Problem]:
    """An accelerator type says how many chips, not how they are laid out."""
    if hardware.generation.by_grid or hardware == hardware.compact:
        return []
    reason = f"{hardware.accelerator_type} is laid out as {hardware.compact.shape} there"
    return [Problem(where, str(hardware), reason, f"take {hardware.compact}, or launch on GKE")]


def _render(description: Description, way: _Directly | _Queued) -> Rendering:
    name, beside, where = description.name, description.beside, _where(description)
    several = isinstance(way, _Queued) and description.count > 1
    nodes = [f"{name}-{number}" for number in range(description.count)] if several else [name]
    machines, stops = [name], [_stop(where, node, "all", name) for node in nodes]
    files = {"train.host.sh": _on_host(description, name, description.slice, description.trainer)}
    evaluator = ""
    if beside:
        follower, node = f"{name}-follower", nodes[0]
        ask = ""
        if beside.platform == "tpu":
            node = follower
            machines.append(follower)
            ask = _machines(description, way, follower, beside, 1)
        evaluator = _EVALUATOR.format(start=ask + _start(where, node, "0", "follow.host.sh"))
        stops.append(_stop(where, node, "0", follower))
        files["follow.host.sh"] = _on_host(description, follower, beside, description.follower)
    deletes = [shlex.join([*_tool(way), "delete", each, *where, *way.delete.split()]) for each in machines]
    text = script.head(_AGAIN) + script.HERE
    text += _FUNCTIONS.format(
        what=way.what, where=shlex.join(where), field=way.field, ready=way.ready, taken=way.taken, delete=way.delete
    )
    text += _machines(description, way, name, description.slice, description.count, script.preflight(description, "  "))
    text += "".join(_start(where, node, "all", "train.host.sh") for node in nodes)
    text += _told("To stop it:", stops) + _told("The machines stay, and cost, until they are deleted:", deletes)
    return Rendering(text + evaluator, files)


def _ssh(where: Sequence[str], node: str, worker: str) -> list[str]:
    return ["gcloud", "compute", "tpus", "tpu-vm", "ssh", node, *where, f"--worker={worker}"]


def _start(where: Sequence[str], node: str, worker: str, file: str) -> str:
    return f'{shlex.join(_ssh(where, node, worker))} --command="$(cat "$here/{file}")"\n'


def _stop(where: Sequence[str], node: str, worker: str, unit: str) -> str:
    return shlex.join([*_ssh(where, node, worker), f"--command=sudo systemctl stop {unit}"])


def _told(title: str, commands: Sequence[str]) -> str:
    return f'echo "{title}"\n' + "".join(f"echo {shlex.quote(command)}\n" for command in commands)


def _tool(way: _Directly | _Queued) -> list[str]:
    return ["gcloud", "compute", "tpus", way.what]


def _where(description: Description) -> list[str]:
    project = [f"--project={description.project}"] if description.project else []
    return [*project, f"--zone={description.zone}"]


def _machines(
    description: Description, way: _Directly | _Queued, name: str, hardware: Hardware, count: int, proof: str = ""
) -> str:
    """Asks for machines, and waits for them. proof: of the job, before anything is asked for."""
    priority = [f"--{description.priority}"] if description.priority else []
    asked = [*way.create(hardware, name, count), *_where(description), *priority, *description.options]
    return (
        f"give_back {name}\n"
        f'if [[ -z "$(state {name})" ]]; then\n'
        f"{proof}{quoting.command([*_tool(way), 'create', name, *asked], indent='  ')}\n"
        "fi\n"
        f"await {name}\n"
    )


def _mounted(description: Description) -> tuple[str, str]:
    """How docker gives the data set to a container, and what a host does before."""
    if description.bucket:
        return f"--volume={MOUNT}:{MOUNT}:ro", _MOUNTED.format(mount=MOUNT, bucket=description.bucket)
    folder = description.directory
    told = f"{folder}: this host has no such folder; bring the data set there, or name its bucket as --data"
    bind = quoting.fields("type=bind", f"source={folder}", f"target={folder}", "readonly")
    return f"--mount={bind}", _THERE.format(folder=shlex.quote(folder), told=shlex.quote(told))


def _on_host(description: Description, unit: str, hardware: Hardware, command: Sequence[str]) -> str:
    variables = [f"--env={key}={value}" for key, value in description.variables(hardware).items()]
    # Libtpu opens the devices and locks memory; the reading processes hand batches over in shared memory.
    access = ["--privileged"] if hardware.platform == "tpu" else []
    mounted, mount = _mounted(description)
    stop = f"--stop-timeout={description.grace}"  # for a daemon that goes down first: by itself it gives ten seconds
    run = ["run", "--rm", "--init", f"--name={unit}", stop, *access, "--net=host", "--ipc=host", mounted, *variables]
    job = [description.image, *command]
    settings = {
        "After": "docker.service",  # so that it ends before the daemon does when the host goes down
        "Restart": "on-failure",
        "RestartPreventExitStatus": " ".join(map(str, FINAL)),
        # Asked to go by `systemctl stop` it has not failed, and the next launch starts it; by anybody else it starts again.
        "SuccessExitStatus": _ASKED,
        "RestartForceExitStatus": _ASKED,
        "RestartSec": "30",
        "StartLimitBurst": str(description.restarts + 1),
        "StartLimitIntervalSec": "infinity",
        "TimeoutStopSec": str(description.grace),
        "ExecStartPre": f"-/usr/bin/docker rm --force {unit}",  # what a killed docker client left behind
    }
    mark = f"mdm-{fingerprint([settings, run, job])}"
    start = [
        "sudo",
        "systemd-run",
        f"--unit={unit}",
        f"--description={mark}",
        *(f"--property={k}={v}" for k, v in settings.items()),
    ]
    run = ["/usr/bin/docker", *quoting.dollars(run)]
    registry = description.image.partition("/")[0]
    login = ""
    if registry == "gcr.io" or registry.endswith((".gcr.io", ".pkg.dev")):  # Google's want to be told who asks
        login = f"sudo gcloud auth configure-docker {registry} --quiet\n"
    return (
        "# Run on a host: starts the unit if it does not run.\n"
        "set -eu\n"
        f"{_UNLESS.format(unit=unit, mark=mark)}{login}{mount}{quoting.command(start, run, quoting.dollars(job))}\n"
    )
