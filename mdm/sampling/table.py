"""A table of samplers in a file: {task: {setting: value}}, as changes of the defaults."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from mdm.problems import Problem, Refusal, refuse_if
from mdm.sampling.defaults import DEFAULTS
from mdm.sampling.settings import SamplerSettings

_TYPES = {"int": int, "float": (int, float), "bool": bool, "str": str}
_FIELDS = {field.name: _TYPES[field.type] for field in dataclasses.fields(SamplerSettings)}


def read(path: str | Path) -> dict[str, SamplerSettings]:
    """The sampler of every task. Raises Refusal naming the file and every task or setting that is wrong."""
    try:
        given = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Refusal(
            Problem(str(path), None, f"cannot be read ({error})", 'write {"text": {"steps": 64}, …}')
        ) from error
    found, problems = dict(DEFAULTS), []
    for task, changes in given.items() if isinstance(given, dict) else [(None, given)]:
        if task not in DEFAULTS or not isinstance(changes, dict):
            remedy = f"map tasks to settings; tasks are {tuple(DEFAULTS)}"
            problems.append(Problem(str(path), task, "is not a task with settings", remedy))
            continue
        own = [_misfit(f"{path}: {task}", key, value) for key, value in changes.items()]
        problems += [problem for problem in own if problem]
        if not any(own):
            found[task] = dataclasses.replace(found[task], **changes)
            problems += found[task].problems(f"{path}: {task}")
    refuse_if(problems)
    return found


def _misfit(at: str, key: str, value: Any) -> Problem | None:
    if key not in _FIELDS:
        return Problem(f"{at}.{key}", value, "is not a sampler setting", f"use one of {tuple(_FIELDS)}")
    kind = _FIELDS[key]
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        return Problem(f"{at}.{key}", value, f"is a {type(value).__name__}", "see SamplerSettings")
    return None
