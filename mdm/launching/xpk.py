"""GKE by XPK (1.16 was tried): a workload for the trainer, another for the evaluator.

XPK makes a JobSet, so what mdm.launching.jobset says of `jax.distributed.initialize()` holds here. It starts a workload
again after the exit codes it is told of, and after 42 and 127 to 255; after no other.
"""

from __future__ import annotations

import shlex
from pathlib import PurePosixPath

from mdm.exits import AGAIN
from mdm.launching import quoting, script
from mdm.launching.description import MOUNT, Description, Rendering
from mdm.launching.hardware import Hardware
from mdm.problems import Problem

_MISSING = ("v5e:1x1", "v5e:2x2")
_NAMED = ("--project", "--zone", "--cluster", "--workload")  # by which XPK finds one again
_PRIORITIES = ("very-low", "low", "medium", "high", "very-high")


def problems(description: Description) -> list[Problem]:
    found = description.containers("XPK")
    attach = f"attach its bucket to the cluster (xpk storage attach, --mount-point={MOUNT} --auto-mount=true)"
    found += description.unmounted("XPK", f"{attach}, and name its folder as --config.data.directory")
    if not description.data and not PurePosixPath(description.directory).is_relative_to(MOUNT):
        reason = f"is not in {MOUNT}, and a container of XPK sees no folder but attached storage"
        remedy = f"{attach}, and name its folder there"
        found.append(Problem("data.directory", description.directory, reason, remedy))
    found += description.only(("tpu",), "XPK", "take TPUs; for an evaluator on CPU launch on jobset")
    if not description.cluster:
        found.append(Problem("--cluster", None, "is not given", "name the cluster, as xpk cluster list shows it"))
    if description.priority not in ("", *_PRIORITIES):
        remedy = f"use one of {', '.join(_PRIORITIES)}"
        found.append(Problem("--priority", description.priority, "is none of XPK's", remedy))
    for where, text in {"--hardware": description.hardware, "--evaluator": description.evaluator}.items():
        if text in _MISSING:
            found.append(Problem(where, text, "XPK has no name for it", "take a larger one, v6e, or launch on jobset"))
    # XPK puts the command into one block of its manifest, line by line.
    values = {"--config": description.config, "--workdir": (description.workdir,),
              "--env": tuple(description.environment.values())}  # fmt: skip
    for where, texts in values.items():
        found += [
            Problem(where, text, "XPK takes no line breaks", "launch on jobset, or name it otherwise")
            for text in texts
            if len(text.splitlines()) > 1 or text.endswith(("\n", "\r"))
        ]
    return found


def render(description: Description) -> Rendering:
    text = script.head() + script.preflight(description)
    text += _create(description, description.name, description.slice, description.count, description.trainer)
    if description.beside:
        name = f"{description.name}-follower"
        text += _create(description, name, description.beside, 1, description.follower)
    return Rendering(text)


def _create(description: Description, name: str, hardware: Hardware, slices: int, command: list[str]) -> str:
    variables = [f"{key}={value}" for key, value in description.variables(hardware).items()]
    # `exec`: XPK starts the command behind a shell and sends SIGTERM to what it started.
    inside = "exec " + shlex.join(["env", *variables, *command])
    where = {"project": description.project, "zone": description.zone, "cluster": description.cluster}
    parts = [
        "xpk", "workload", "create",
        *(f"--{key}={value}" for key, value in where.items() if value),
        f"--workload={name}",
        f"--tpu-type={hardware.generation.sold}-{hardware.shape}",
        f"--num-slices={slices}",
        f"--docker-image={description.image}",
        *([f"--priority={description.priority}"] if description.priority else []),
        f"--max-restarts={description.restarts}",
        f"--restart-on-exit-codes={','.join(map(str, AGAIN))}",
        f"--termination-grace-period-seconds={description.grace}",
        *description.options,
        f"--command={quoting.dollars([inside])[0]}",
    ]  # fmt: skip
    delete = ["xpk", "workload", "delete", *(part for part in parts[3:] if part.partition("=")[0] in _NAMED)]
    told = f"If it is there still, ended or not: {shlex.join(delete)}; then run this script again"
    return f'{quoting.command(parts)} || {{\n  code=$?\n  echo {shlex.quote(told)} >&2\n  exit "$code"\n}}\n'
