"""Where jobs can be launched."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from mdm.launching import jobset, slurm, tpu_vm, xpk
from mdm.launching.description import Description, Rendering
from mdm.problems import Problem, refuse_if


@dataclasses.dataclass(frozen=True)
class Platform:
    """problems: what this platform does not take; render: for a description without problems."""

    problems: Callable[[Description], list[Problem]]
    render: Callable[[Description], Rendering]


PLATFORMS = {
    "tpu-vm": Platform(tpu_vm.problems, tpu_vm.render),
    "queued": Platform(tpu_vm.queued_problems, tpu_vm.render_queued),
    "jobset": Platform(jobset.problems, jobset.render),
    "xpk": Platform(xpk.problems, xpk.render),
    "slurm": Platform(slurm.problems, slurm.render),
}


def render(platform: str, description: Description) -> Rendering:
    """Raises Refusal with everything that keeps this job from this platform."""
    chosen = PLATFORMS[platform]
    refuse_if([*description.problems(), *chosen.problems(description)])
    return chosen.render(description)
