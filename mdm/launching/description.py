"""The description of a job, from which every launcher renders: what to run, on what, how often to start it again."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence

from mdm.launching import names
from mdm.launching.hardware import Hardware
from mdm.problems import Problem, Refusal
from mdm.runs.folder import address_problems

_IMAGE = re.compile("[A-Za-z0-9][A-Za-z0-9._/:@-]*")
_BUCKET = re.compile("gs://([a-z0-9][a-z0-9._-]{1,61}[a-z0-9])(/.*)?", re.DOTALL)
MOUNT = "/data"
_PLATFORMS = {"tpu": "tpu,cpu", "gpu": "cuda,cpu", "cpu": "cpu"}
_AWAIT_START = 1800  # seconds for which the evaluator does not believe an end that the trainer beside it may take back


@dataclasses.dataclass(frozen=True)
class Description:
    """What is empty is left to the platform.

    name:        of the job, and beginning of the names of its parts
    config:      --config=FILE and its overrides, as every binary takes them
    workdir:     the run folder
    directory:   data.directory of the config: the data set, where `data` is empty. On TPU VMs a folder of the hosts, which their
                 containers get read only; on XPK in `MOUNT`, where storage is attached; on SLURM as the nodes see it
    data:        gs://BUCKET[/FOLDER] with the data set: the bucket is mounted on every host, read only, at `MOUNT`. GKE has no
                 other way
    hardware:    of a slice or node: see `mdm.launching.hardware`
    count:       of slices or nodes
    image:       the container to run, where the platform runs containers
    priority:    as the platform calls it: a class (Kubernetes, XPK), a QOS (SLURM), spot or reserved (TPU VM)
    evaluator:   hardware of the process that scores checkpoints beside the trainer; empty for none
    environment: variables of trainer and evaluator. They are printed: no place for secrets
    restarts:    most starts after the first one. A job that makes no progress stops by itself before that
    grace:       seconds between the request to end and the end
    options:     more flags of the command that asks for the machines
    project, zone, cluster: of Google Cloud
    """

    name: str
    config: tuple[str, ...]
    directory: str
    workdir: str
    hardware: str
    count: int = 1
    image: str = ""
    priority: str = ""
    evaluator: str = ""
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    restarts: int = 100
    grace: int = 180
    data: str = ""
    options: tuple[str, ...] = ()
    project: str = ""
    zone: str = ""
    cluster: str = ""

    def problems(self) -> list[Problem]:
        """What no platform takes."""
        found = names.job_problems("--name", self.name)
        found += [
            Problem(f"--{key}", getattr(self, key), f"below {least}", f"use {least} or more")
            for key, least in {"count": 1, "restarts": 0, "grace": 1}.items()
            if getattr(self, key) < least
        ]
        if self.image and not _IMAGE.fullmatch(self.image):
            remedy = "write REGISTRY/NAME:TAG or REGISTRY/NAME@DIGEST"
            found.append(Problem("--image", self.image, "is not the name of an image", remedy))
        if self.data and not _BUCKET.fullmatch(self.data):
            remedy = "write gs://BUCKET/FOLDER; a folder of the hosts is named by --config.data.directory (not on GKE)"
            found.append(Problem("--data", self.data, "is no bucket", remedy))
        found += address_problems("--workdir", self.workdir)
        found += [
            Problem("--option", option, "is not a flag", "write --option=--NAME=VALUE")
            for option in self.options
            if not option.startswith("--") or option == "--"
        ]
        found += [problem for name in self.environment for problem in names.variable_problems("--env", name)]
        found += _hardware("--hardware", self.hardware, self._trainer_needs)
        if self.evaluator:
            found += _hardware("--evaluator", self.evaluator, _follower_needs)
        return found

    def _trainer_needs(self, hardware: Hardware) -> list[Problem]:
        if hardware.platform == "cpu":
            return [Problem("--hardware", self.hardware, "trains nothing of this size", "name TPUs or GPUs")]
        return []

    @property
    def slice(self) -> Hardware:
        """Of the trainer: one of `count` slices or nodes."""
        return Hardware.of(self.hardware, "--hardware")

    @property
    def beside(self) -> Hardware | None:
        """Of the evaluator."""
        return Hardware.of(self.evaluator, "--evaluator") if self.evaluator else None

    @property
    def preflight(self) -> list[str]:
        """Proves the job on the machine it is launched from. For TPUs alone: see mdm.launch."""
        slices = [f"--slices={self.count}"] if self.count > 1 else []
        return ["python", "-m", "mdm.preflight", *self.config, f"--topology={self.slice}", *slices]

    @property
    def trainer(self) -> list[str]:
        """Of one process. Several find each other through `jax.distributed.initialize()`, which asks the cluster."""
        several = ["--distributed"] if self.slice.hosts * self.count > 1 else []
        own = [f"--config.data.directory={self._mounted}"] if self.data else []
        return ["python", "-m", "mdm.train", *self.config, *own, f"--workdir={self.workdir}", *several]

    @property
    def follower(self) -> list[str]:
        """Of the evaluator: one process, which ends when the run has."""
        return [
            "python", "-m", "mdm.evaluate", f"--workdir={self.workdir}", "--follow", f"--await_start={_AWAIT_START}",
        ]  # fmt: skip

    @property
    def bucket(self) -> str:
        """That is mounted; "" for none."""
        return _BUCKET.fullmatch(self.data)[1] if self.data else ""

    @property
    def _mounted(self) -> str:
        """The data set, as the hosts see it."""
        return MOUNT + (_BUCKET.fullmatch(self.data)[2] or "")

    def unmounted(self, kind: str, remedy: str) -> list[Problem]:
        """A problem if a bucket is to be mounted where we do not know how."""
        return [Problem("--data", self.data, f"is not mounted on {kind} from here", remedy)] if self.data else []

    def variables(self, hardware: Hardware) -> dict[str, str]:
        """Environment of a process. JAX is told what it runs on, or it would train on the CPU where the accelerator fails."""
        return {"JAX_PLATFORMS": _PLATFORMS[hardware.platform], **self.environment}

    def containers(self, kind: str) -> list[Problem]:
        """What a platform that runs containers does not take."""
        found = []
        if not self.image:
            found.append(Problem("--image", None, "is not given", f"name the container image that {kind} runs"))
        if self.workdir and "://" not in self.workdir:
            reason = "is a folder inside a container, which goes with it"
            found.append(Problem("--workdir", self.workdir, reason, "name one in a bucket, gs://…"))
        return found

    def only(self, platforms: Sequence[str], kind: str, instead: str) -> list[Problem]:
        """Problems if trainer or evaluator are for another platform than these."""
        asked = {"--hardware": self.hardware, "--evaluator": self.evaluator}
        return [
            Problem(where, text, f"{kind} does not take it here", instead)
            for where, text in asked.items()
            if text and _platform(text) not in (*platforms, None)
        ]


@dataclasses.dataclass(frozen=True)
class Rendering:
    """script: of bash, starts everything; files: by name, it expects them beside itself."""

    script: str
    files: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def all(self) -> dict[str, str]:
        return {"launch.sh": self.script, **self.files}


def _platform(text: str) -> str | None:
    try:
        return Hardware.of(text, "").platform
    except Refusal:
        return None  # told by `problems`


def _hardware(where: str, text: str, needs) -> list[Problem]:
    try:
        return needs(Hardware.of(text, where))
    except Refusal as refusal:
        return list(refusal.problems)


def _follower_needs(hardware: Hardware) -> list[Problem]:
    if hardware.hosts == 1:
        return []
    reason = f"has {hardware.hosts} hosts; the evaluator is one process"
    return [
        Problem("--evaluator", str(hardware), reason, "take hardware of one host, e.g. v5p:2x2x1, v5e:2x2, h100:1, cpu")
    ]
