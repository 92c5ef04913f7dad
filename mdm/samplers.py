"""A table of samplers in a file: {task: {setting: value}}, as changes of the defaults."""

from __future__ import annotations

import json
from pathlib import Path

from mdm import config
from mdm.problems import Problem, Refusal, refuse_if
from mdm.sampling.defaults import DEFAULTS
from mdm.sampling.settings import SamplerSettings
from mdm.tokens.tasks import TASKS


def read(path: str | Path) -> dict[str, SamplerSettings]:
    """The sampler of every task. Raises Refusal naming the file and every task or setting that is wrong."""
    try:
        given = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        remedy = 'write {"text": {"steps": 64}, …}'
        raise Refusal(Problem(str(path), None, f"cannot be read ({error})", remedy)) from error
    found, problems = dict(DEFAULTS), []
    for task, changes in given.items() if isinstance(given, dict) else [(None, given)]:
        if task not in DEFAULTS or not isinstance(changes, dict):
            remedy = f"map tasks to settings; tasks are {tuple(DEFAULTS)}"
            problems.append(Problem(str(path), task, "is not a task with settings", remedy))
            continue
        at, own = f"{path}: {task}", []
        found[task] = config.changed(DEFAULTS[task], changes, at, own)
        problems += own or found[task].problems(at, TASKS[task])
    refuse_if(problems)
    return found
