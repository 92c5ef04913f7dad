"""Evaluated runs beside each other: which step of each, what they differ in, and what comes of it."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mdm.evaluation import evaluated
from mdm.evaluation.evaluated import Evaluated
from mdm.evaluation.folder import EvaluationFolder
from mdm.evaluation.made_with import differences
from mdm.evaluation.tables import Table
from mdm.problems import Problem, Refusal
from mdm.runs.folder import RunFolder


@dataclasses.dataclass(frozen=True)
class EvaluatedRun:
    """name: for people; settings: its whole config, as plain values; own: of one of its steps"""

    name: str
    settings: Mapping[str, Any]
    own: Evaluated


def read(workdir: str, name: str, step: int | None = None) -> EvaluatedRun:
    """Another run at a step, or at the newest that it was evaluated at. Raises Refusal if it is no run, or was not evaluated."""
    run = RunFolder(workdir)
    settings, folder = run.read_json(run.config), EvaluationFolder(run.evaluations)
    steps = folder.steps()
    if not steps:
        remedy = f"python -m mdm.evaluate --workdir={workdir}"
        raise Refusal(Problem(str(run.evaluations), None, "holds no finished evaluation", remedy))
    return EvaluatedRun(name, settings, evaluated.read(folder, step if step in steps else steps[-1]))


def names(workdirs: Sequence[str | os.PathLike]) -> list[str]:
    """A name each, no two the same: the last two parts of the path, as runs are often called run, and more of them where others
    end alike. A folder that comes again is numbered."""
    paths = [Path(workdir).absolute().parts for workdir in workdirs]
    found: list[str] = []
    for own in paths:
        others = [path for path in paths if path != own]
        sizes = range(2, len(own) + 1)
        size = next((n for n in sizes if all(other[-n:] != own[-n:] for other in others)), len(own))
        name, again = Path(*own[-size:]).as_posix(), paths[: len(found)].count(own)
        found.append(f"{name} ({again + 1})" if again else name)
    return found


def runs(found: Sequence[EvaluatedRun]) -> Table:
    """What each of them is."""
    of = [(run.name, str(run.own.step), run.own.results[0]) for run in found]
    rows = [[name, step, r.weights or "", r.config or "", r.data, r.time or ""] for name, step, r in of]
    return Table(["run", "step", "weights", "config", "data", "evaluated"], 6, rows)


def settings(found: Sequence[EvaluatedRun]) -> Table:
    """Only what is not the same in all of them."""
    first, *others = found
    changed = [{d.key: d for d in differences(first.settings, other.settings)} for other in others]
    keys = sorted({key for own in changed for key in own})
    rows = []
    for key in keys:
        same = next(own[key].one for own in changed if key in own)
        rows.append([key, *map(_told, [same, *(own[key].other if key in own else same for own in changed)])])
    return Table(["setting", *(run.name for run in found)], len(found) + 1, rows)


def _told(value: Any) -> str:
    return "" if value is None else str(value)
