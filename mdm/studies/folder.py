"""The folder of a study: what its trials leave on disk, and the table that is made of it.

trials/ID/              run folder of the trial, see `mdm.runs.folder`
trials/ID/trial.json    levels and resolved settings; written before the trial starts
trials/ID/result.json   figures; written in one step at the end: a trial with it is finished and never run again
trials/ID/log.txt       what the trial printed, where the local pool ran it
trials.jsonl            all finished trials with their resolved settings and every figure, written anew from the results
table.csv               likewise, with the figures of the study and a column for each setting in which its trials differ
settings.json           the resolved settings that all of them share: with the table, those of each trial
compilations/           compiled programs: trials that differ in a learning rate share theirs
search.journal          suggestions of a search and what came of them
results.md, results.html, figures/   the page
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from etils import epath

from mdm import atomic
from mdm.problems import Problem, Refusal
from mdm.runs.folder import RunFolder
from mdm.studies import dotted
from mdm.studies.plan import Trial
from mdm.studies.rows import Row


class StudyFolder:
    """Paths, local or `gs://`, and the small files."""

    def __init__(self, path: str | Path):
        self.path = epath.Path(path)
        if "://" not in str(path):
            self.path = self.path.absolute()
        self.trials = self.path / "trials"
        self.lines = self.path / "trials.jsonl"
        self.table = self.path / "table.csv"
        self.settings = self.path / "settings.json"
        self.compilations = self.path / "compilations"
        self.journal = self.path / "search.journal"
        self.figures = self.path / "figures"
        self.markdown = self.path / "results.md"
        self.page = self.path / "results.html"
        self.lock = self.path / "lock"

    @property
    def local(self) -> bool:
        return "://" not in str(self.path)

    def create(self) -> None:
        """Raises Refusal if the folder cannot be made."""
        RunFolder(self.path).create()

    def run_folder(self, trial: str) -> RunFolder:
        return RunFolder(self.trials / trial)

    def log(self, trial: str) -> epath.Path:
        return self.trials / trial / "log.txt"

    def write_trial(self, trial: Trial) -> None:
        """Makes the trial's folder and says what it is."""
        folder = self.run_folder(trial.id)
        folder.create()
        folder.write_json(self._trial(trial.id), {"levels": dict(trial.levels), "config": trial.config})

    def read_trial(self, trial: str) -> Trial:
        """Raises Refusal for a trial that this folder does not have."""
        if not re.fullmatch("[0-9a-f]{16}", trial) or not self._trial(trial).exists():
            raise Refusal(Problem("--trial", trial, f"is not in {self.trials}", "name the folder of a trial"))
        value = self.run_folder(trial).read_json(self._trial(trial))
        return Trial(trial, value["levels"], value["config"])

    def write_result(self, trial: str, result: Mapping[str, Any]) -> None:
        """Finishes a trial."""
        self.run_folder(trial).write_json(self._result(trial), dict(result))

    def read_result(self, trial: str) -> dict | None:
        """None for a trial that is not finished."""
        path = self._result(trial)
        return self.run_folder(trial).read_json(path) if path.exists() else None

    def finished(self, trials: Sequence[Trial]) -> tuple[Row, ...]:
        """Rows of those of `trials` that are finished."""
        found = []
        for trial in trials:
            result = self.read_result(trial.id)
            if result is not None:
                found.append(Row(trial.id, trial.levels, result["metrics"], result["diverged"]))
        return tuple(found)

    def write_table(self, trials: Sequence[Trial], metrics: Sequence[str]) -> tuple[Row, ...]:
        """Writes trials.jsonl (every figure), table.csv (`metrics`) and settings.json anew; returns their rows, in the order of
        `trials`. The tasks of an array job do not: --report makes the table of what they left."""
        rows = self.finished(trials)
        configs = {trial.id: trial.config for trial in trials}
        lines = [{**dataclasses.asdict(row), "config": configs[row.id]} for row in rows]
        atomic.write_text(self.lines, "".join(json.dumps(line) + "\n" for line in lines), shared=self.local)
        shared, own = dotted.split([configs[row.id] for row in rows])
        atomic.write_text(self.settings, json.dumps(shared, indent=1) + "\n", shared=self.local)
        axes = list(trials[0].levels) if trials else []
        varied = list(own[0]) if own else []
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(["id", *axes, *metrics, "diverged", *varied])
        for row, settings in zip(rows, own, strict=True):
            figures = [row.value(name) for name in metrics]
            told = [value if isinstance(value, int | float | str) else json.dumps(value) for value in settings.values()]
            writer.writerow([row.id, *(row.levels[axis] for axis in axes), *figures, int(row.diverged), *told])
        atomic.write_text(self.table, buffer.getvalue(), shared=self.local)
        return rows

    def _trial(self, trial: str) -> epath.Path:
        return self.trials / trial / "trial.json"

    def _result(self, trial: str) -> epath.Path:
        return self.trials / trial / "result.json"
