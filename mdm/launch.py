"""python -m mdm.launch --on=PLATFORM --config=FILE --workdir=DIR --hardware=v5p:4x4x4 --name=NAME: a job on TPUs or GPUs.

PLATFORM: tpu-vm and queued (gcloud), xpk and jobset (GKE), slurm (GPU nodes). Prints the scripts and manifests that it would
run, and runs nothing; with --nodry_run writes them to --output and runs launch.sh there. For TPUs that compiles the step first
(mdm.preflight); for GPUs, whose programs are compiled where there are some, the mesh is checked against their number.
Flags may stand in a file: --flagfile=FILE.
"""

import subprocess
import sys
from pathlib import Path

from absl import flags

from mdm import atomic, command
from mdm.launching.description import Description
from mdm.launching.platforms import PLATFORMS, render
from mdm.problems import Problem, Refusal, refuse_if
from mdm.training.mesh import Devices

_CONFIG = command.config_flag()
_WORKDIR = command.path_flag("workdir", "The run folder, as the job sees it; in a bucket where it runs in containers.")
_DATA = flags.DEFINE_string(
    "data", "", "gs://BUCKET/FOLDER with the data set, to be mounted on every host (jobset, tpu-vm, queued)."
)
_ON = flags.DEFINE_enum("on", None, list(PLATFORMS), "Where.", required=True)
_NAME = flags.DEFINE_string("name", None, "Of the job.", required=True)
_HARDWARE = flags.DEFINE_string("hardware", None, "Of a slice or node, e.g. v5p:4x4x4 or h100:8.", required=True)
_COUNT = flags.DEFINE_integer("count", 1, "How many slices or nodes.")
_IMAGE = flags.DEFINE_string("image", "", "The container; not with slurm.")
_PRIORITY = flags.DEFINE_string(
    "priority", "", "Priority class (jobset, xpk), QOS (slurm), spot or reserved (tpu-vm, queued), guaranteed (queued)."
)
_EVALUATOR = flags.DEFINE_string("evaluator", "", "Hardware of an evaluator beside it, e.g. v5p:2x2x1, h100:1, cpu.")
_ENV = flags.DEFINE_multi_string("env", [], "NAME=VALUE for trainer and evaluator; printed, so no secrets.")
_RESTARTS = flags.DEFINE_integer("restarts", 100, "Most starts after the first one.")
_GRACE = flags.DEFINE_integer("grace", 180, "Seconds for a last checkpoint when the job is asked to end.")
_OPTION = flags.DEFINE_multi_string(
    "option", [], "One more flag of gcloud, xpk, kubectl or sbatch, e.g. --partition=a."
)
_PROJECT = flags.DEFINE_string("project", "", "Of Google Cloud; by default gcloud's.")
_ZONE = flags.DEFINE_string("zone", "", "Of Google Cloud.")
_CLUSTER = flags.DEFINE_string("cluster", "", "Of GKE, for xpk; kubectl is told by its context.")
_DRY_RUN = flags.DEFINE_bool("dry_run", True, "Print, and run nothing.")
_HELD = ("experiments", "mdm")  # what launch/Dockerfile copies
_OUTPUT = command.path_flag("output", "Folder for what is run; by default runs/launched/NAME.", required=False)


def main() -> None:
    settings = command.settings(_CONFIG)
    description = _description(settings.data.directory)
    rendering = render(_ON.value, description)
    hardware = description.slice
    devices = Devices(hardware.chips * description.count, description.count, hardware.platform)
    refuse_if(settings.job.problems(devices))
    if _DRY_RUN.value:
        print("\n".join(f"######## {name}\n{text}" for name, text in rendering.all().items()), end="")
        return
    folder = Path(_OUTPUT.value or f"runs/launched/{description.name}")
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in rendering.all().items():
        atomic.write_text(folder / name, text)
    sys.exit(subprocess.run(["bash", str(folder / "launch.sh")]).returncode)


def _description(directory: str) -> Description:
    pairs = [text.partition("=") for text in _ENV.value]
    refuse_if(
        Problem("--env", f"{name}{equals}{value}", "has no =", "write NAME=VALUE")
        for name, equals, value in pairs
        if not equals
    )
    return Description(
        name=_NAME.value,
        config=_config(),
        directory=directory,
        workdir=_WORKDIR.value,
        data=_DATA.value,
        hardware=_HARDWARE.value,
        count=_COUNT.value,
        image=_IMAGE.value,
        priority=_PRIORITY.value,
        evaluator=_EVALUATOR.value,
        environment={name: value for name, _, value in pairs},
        restarts=_RESTARTS.value,
        grace=_GRACE.value,
        options=tuple(_OPTION.value),
        project=_PROJECT.value,
        zone=_ZONE.value,
        cluster=_CLUSTER.value,
    )


def _config() -> tuple[str, ...]:
    """The config as it was given: the job resolves it again, where it runs."""
    flag = flags.FLAGS["config"]
    path = Path(flag.config_filename.partition(":")[0])
    if path.is_absolute():
        remedy = "name it from the root of the checkout: the job finds it there, in its container"
        raise Refusal(Problem("--config", flag.config_filename, "is a path of this machine", remedy))
    if _IMAGE.value and (path.parts[0] not in _HELD or ".." in path.parts):
        reason = "is not in the container, which holds experiments/ and mdm/ of the checkout"
        raise Refusal(Problem("--config", flag.config_filename, reason, "move it to experiments/"))
    overrides = (f"--config.{key}={value}" for key, value in flag.override_values.items())
    return (f"--config={flag.config_filename}", *overrides)


if __name__ == "__main__":
    command.run(main)
