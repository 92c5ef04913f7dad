"""What is evaluated of each checkpoint, and what each part of it hangs on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mdm.data.manifest import SPLITS
from mdm.data.streams import StreamSettings
from mdm.evaluation.continuations import TextScoring
from mdm.evaluation.harness import HarnessSettings
from mdm.evaluation.made_with import MadeWith
from mdm.evaluation.measures.measure import Measure
from mdm.evaluation.ordered import OrderSettings
from mdm.evaluation.settings import EvaluationSettings
from mdm.fingerprint import file_digest, fingerprint
from mdm.problems import Problem, Refusal
from mdm.sampling.defaults import DEFAULTS
from mdm.sampling.settings import SamplerSettings


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is evaluated of each checkpoint.

    weights, attention: as of `TrainedModel.load`; data: instead of the run's own; evaluation: changes of the run's
    `EvaluationSettings`
    samplers: of each task
    language_model: folder of one, under which the perplexity of what is written is told (`measures.perplexity`), if any
    orders: of the chain rule; choices: files of multiple choice; harness: its tasks; scoring: of the texts of both
    """

    weights: str = "ema"
    attention: str | None = None
    data: str | None = None
    evaluation: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    samplers: Mapping[str, SamplerSettings] = dataclasses.field(default_factory=DEFAULTS.copy)
    language_model: str | None = None
    orders: OrderSettings = OrderSettings()
    choices: tuple[str, ...] = ()
    harness: HarnessSettings = HarnessSettings(())
    scoring: TextScoring = TextScoring()

    def problems(self) -> list[Problem]:
        found = [*self.orders.problems("orders"), *self.scoring.problems("scoring")]
        names = [Path(path).stem for path in self.choices]
        found += [
            Problem("--choices", name, "two files have this name", "rename one: results go by it")
            for name in dict.fromkeys(names)
            if names.count(name) > 1
        ]
        return found


@dataclasses.dataclass(frozen=True)
class Decisions:
    """What decides the figures of each part of a plan, for the runs it is followed on. Devices, kernels and batches do not: what
    they change lies in the last digits.

    evaluation: of the run, with the plan's changes; streams, row_length: of the run; data: gives the fingerprint of the data
    set; measures: of what is made
    """

    plan: Plan
    evaluation: EvaluationSettings
    streams: Mapping[str, StreamSettings]
    row_length: int
    data: Callable[[], str]
    measures: Sequence[Measure]

    def likelihood(self) -> MadeWith:
        return MadeWith(self._documents("samples", "repeats"))

    def orders(self) -> MadeWith:
        return MadeWith({**self._documents(), "orders": dataclasses.asdict(self.plan.orders)})

    def choices(self, path: Path) -> MadeWith:
        return MadeWith({**self._texts(), "file": _digest(path)})

    def harness(self) -> MadeWith:
        own = self.plan.harness
        files = sorted(path for path in Path(own.folder).rglob("*") if path.is_file()) if own.folder else []
        digests = [[path.relative_to(own.folder).as_posix(), _digest(path)] for path in files]
        return MadeWith({**self._texts(), "tasks": sorted(own.tasks), "files": digests})

    def generated(self) -> MadeWith:
        tasks = list(dict.fromkeys(task for own in self._tasks().values() for task in own))
        model = self.plan.language_model
        settings = {
            **self._common(),
            "generated": self.evaluation.generated,
            "seed": self.evaluation.seed,
            "samplers": {task: dataclasses.asdict(self.plan.samplers[task]) for task in tasks},
            "language_model": _listing(Path(model)) if model else None,
        }
        if set(self.evaluation.splits) != set(SPLITS):  # those of earlier versions, which do not say, are of all
            settings["splits"] = sorted(self.evaluation.splits)
        usable = (m.name for m in self.measures if set(m.tasks) & set(tasks) and _available(m))
        return MadeWith(settings, tuple(sorted(usable)))

    def _tasks(self) -> dict[str, list[str]]:
        return {name: list(own.drawn) for name, own in self.streams.items()}

    def _common(self) -> dict[str, Any]:
        return {"weights": self.plan.weights, "data": self.data(), "tasks": self._tasks()}

    def _documents(self, *more: str) -> dict[str, Any]:
        names = ("documents", "seed", "splits", "unigram_documents", *more)
        laid_out = {name: own.split_documents for name, own in self.streams.items()}
        own = {name: getattr(self.evaluation, name) for name in names}
        return {**self._common(), "row_length": self.row_length, "split_documents": laid_out, "evaluation": own}

    def _texts(self) -> dict[str, Any]:
        scoring = dataclasses.asdict(self.plan.scoring)
        del scoring["batch_rows"]  # which changes last digits only
        return {"weights": self.plan.weights, "scoring": scoring}


def _available(measure: Measure) -> bool:
    try:
        measure.require()
    except Refusal:
        return False
    return True


def _digest(path: Path) -> str | None:
    """None for a file that cannot be read, which whoever needs it refuses."""
    try:
        return file_digest(path)[:16]
    except OSError:
        return None


def _listing(folder: Path) -> str:
    """Of names and sizes: weights are too large to be read for it."""
    return fingerprint([folder.name, *sorted([path.name, path.stat().st_size] for path in _files(folder))])


def _files(folder: Path) -> Iterable[Path]:
    return (path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else ()
