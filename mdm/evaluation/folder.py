"""The folder of an evaluation: what evaluators wrote of a run, a file a step and part.

step-N.jsonl             likelihood of every task: one result a line; there when all of them are
step-N.PART.jsonl        the same of another part: orders, choices, generated, ...
step-N.PART.progress.json   what is there of a part that is being made, task by task, and what it was made with
documents/step-N.jsonl   what each document cost, see `document_scores`
made-with/FINGERPRINT.json  a `MadeWith`, which every line made with it names
events/                  figures and samples for TensorBoard
table.md                 the newest step as tables for a paper
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from etils import epath

from mdm import atomic
from mdm.evaluation.made_with import MadeWith
from mdm.evaluation.result import Result
from mdm.problems import Problem, Refusal, refuse_if
from mdm.runs.storage import OF_PATHS, answered, exists

LIKELIHOOD = "likelihood"
"""The part whose file carries no name."""
ORDERS, GENERATED, HARNESS, CHOICES = "orders", "generated", "harness", "choices."
"""Other parts; CHOICES goes before the name of a file."""

_LINES = re.compile(r"step-(\d{9})(?:\.(.+))?\.jsonl")
_REMEDY = "remove it, and evaluate again"
_T = TypeVar("_T")

Line = Mapping[str, Any]
"""One result, as JSON holds it."""


class EvaluationFolder:
    """Paths, local or `gs://`. A file appears in one step, so what is there is whole.

    All of its methods raise OSError if the storage fails, which it may not do the next time.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = epath.Path(path)
        self.events = self.path / "events"
        self._descriptions = self.path / "made-with"
        self.table = self.path / "table.md"

    def create(self) -> None:
        """Raises Refusal if the folder cannot be made."""
        try:
            with answered(self.path):
                self.path.mkdir(parents=True, exist_ok=True)
        except (*OF_PATHS, FileExistsError) as error:
            raise Refusal(
                Problem(str(self.path), None, f"cannot be made ({error})", "name another --output")
            ) from error

    def lines(self, step: int, part: str = LIKELIHOOD) -> epath.Path:
        """The file of a part."""
        return self.path / f"{self._stem(step, part)}.jsonl"

    def documents(self, step: int) -> epath.Path:
        """The file of what each document cost."""
        return self.path / "documents" / f"{self._stem(step, LIKELIHOOD)}.jsonl"

    def finished(self, step: int, part: str = LIKELIHOOD) -> bool:
        """Whether there is a part, whatever it was made with."""
        return exists(self.lines(step, part))

    def wanting(self, step: int, part: str, asked: MadeWith, checkpoint: str | None = None) -> str | None:
        """Why a part has to be made: it is not there, or was made of another checkpoint or with something else; or None.

        checkpoint: mark of the one that is there now, if it has one
        A part of an earlier version does not say, and is kept: what it costs to make all of them again is not ours to spend.
        """
        if not self.finished(step, part):
            return "it is not there"
        try:
            lines = self.read(step, part)
            mark, of = (lines[0][key] if lines and key in lines[0] else None for key in ("made_with", "checkpoint"))
        except (Refusal, TypeError) as error:
            return str(error)
        if checkpoint and of not in (None, checkpoint):
            return f"it is of another checkpoint of this step ({of}, now {checkpoint})"
        if mark in (None, asked.fingerprint):
            return None
        then = self.made_with(mark)
        return f"it was made with other settings ({mark}), which are not told" if then is None else then.wants(asked)

    def made_with(self, mark: str) -> MadeWith | None:
        """What lines that say `mark` were made with; None if that is not told, or damaged."""
        try:
            with answered(self.path):
                told = self._description(mark).read_bytes()
            return MadeWith.from_json(json.loads(told))
        except (*OF_PATHS, KeyError, TypeError, ValueError, RecursionError):
            return None

    def steps(self) -> list[int]:
        """Those whose likelihood is there, oldest first."""
        return sorted(step for step, part in self._there() if part == LIKELIHOOD)

    def parts(self, step: int) -> list[str]:
        """Names of those that are there of a step."""
        return sorted(part for own, part in self._there() if own == step)

    def _there(self) -> list[tuple[int, str]]:
        with answered(self.path):
            found = [_LINES.fullmatch(path.name) for path in self.path.iterdir()] if self.path.exists() else []
        return [(int(match[1]), match[2] or LIKELIHOOD) for match in found if match]

    def write(self, step: int, part: str, lines: Sequence[Line], made_with: MadeWith) -> None:
        """Writes a part in one step, in the place of what was there; it is finished if nothing is missing."""
        description, text = (
            self._description(made_with.fingerprint),
            json.dumps(made_with.to_json(), indent=1, ensure_ascii=False),
        )
        named = [{**line, "made_with": made_with.fingerprint} for line in lines]
        with answered(self.path):
            if not description.exists():  # before the lines that name it
                description.parent.mkdir(parents=True, exist_ok=True)
                atomic.write_text(description, text, shared=True)
            atomic.write_text(
                self.lines(step, part), "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in named)
            )
            if not made_with.missing:
                self._progress(step, part).unlink(missing_ok=True)

    def write_table(self, text: str) -> None:
        with answered(self.path):
            atomic.write_text(self.table, text)

    def read(self, step: int, part: str = LIKELIHOOD) -> list[dict]:
        """The lines of a part; none if it is not finished. Raises Refusal for a damaged file."""
        path = self.lines(step, part)
        with answered(path):
            content = path.read_bytes() if path.exists() else b""
        try:
            found = [json.loads(line) for line in content.decode().split("\n") if line]
        except (ValueError, RecursionError) as error:
            raise Refusal(Problem(str(path), None, f"is damaged ({error})", _REMEDY)) from error
        refuse_if(
            Problem(f"{path}: line {number}", str(line)[:60], "is no result", _REMEDY)
            for number, line in enumerate(found, start=1)
            if not isinstance(line, dict)
        )
        return found

    def read_as(self, kind: Callable[[Line], _T], step: int, part: str = LIKELIHOOD) -> list[_T]:
        """`read` as results of a kind. Raises Refusal, too, for lines that are none."""
        found, problems = [], []
        for number, line in enumerate(self.read(step, part), start=1):
            try:
                found.append(kind(line))
            except (KeyError, TypeError, ValueError) as error:
                where = f"{self.lines(step, part)}: line {number}"
                problems.append(Problem(where, str(line)[:60], f"is no result ({error!r})", _REMEDY))
        refuse_if(problems)
        return found

    def progress(self, step: int, part: str, made_with: str) -> Progress:
        """What there is of a part that was interrupted, if it was made with the same."""
        return Progress(self._progress(step, part), made_with)

    def _description(self, mark: str) -> epath.Path:
        return self._descriptions / f"{mark}.json"

    def _progress(self, step: int, part: str) -> epath.Path:
        return self.path / f"{self._stem(step, part)}.progress.json"

    @staticmethod
    def _stem(step: int, part: str) -> str:
        return f"step-{step:09d}" + ("" if part == LIKELIHOOD else f".{part}")


class Progress:
    """Results by task of a part that is being made; written after each task, so that a restart goes on from there."""

    def __init__(self, path: Path, made_with: str):
        self._path, self._made_with = path, made_with
        self.kept: dict[str, list[Result]] = {}
        with answered(path):
            content = path.read_bytes() if path.exists() else b"{}"
        try:
            found = json.loads(content)
            if found and found["made_with"] == made_with:
                tasks = found["tasks"].items()
                self.kept = {name: [Result.from_json(line) for line in lines] for name, lines in tasks}
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
            self.kept = {}  # of another version, or damaged: it is made again

    def keep(self, name: str, results: Sequence[Result]) -> None:
        self.kept[name] = list(results)
        tasks = {task: [result.to_json() for result in own] for task, own in self.kept.items()}
        with answered(self._path):
            atomic.write_text(self._path, json.dumps({"made_with": self._made_with, "tasks": tasks}))
