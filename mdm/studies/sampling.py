"""The work of studies about samplers: a trained run is sampled, and what it makes is measured. Nothing is trained.

The settings of a trial are those of `SamplingSettings`; its figures are named MODALITY/FIGURE after `mdm.evaluation.measures`,
with the standard error over documents behind them as MODALITY/FIGURE error, and

network_calls    over whole rows, of all batches; a batch takes as many as its slowest row
part_calls       over the part of the rows that a cache leaves
seconds          to make all documents, without compilation
"""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any, NamedTuple

from mdm.evaluation.generated import Generated
from mdm.evaluation.measures.measure import Measure
from mdm.evaluation.measures.registry import MEASURES, QUICK
from mdm.problems import Problem, refuse_if
from mdm.runs.folder import RunFolder
from mdm.sampling.settings import SamplerSettings
from mdm.studies.work import Outcome
from mdm.tokens.tasks import TASKS

COUNTS = ("network_calls", "part_calls", "seconds")
SPLITS = ("heldout", "train")


@dataclasses.dataclass(frozen=True)
class SamplingSettings:
    """run:       folder of the trained run
    step:      of its checkpoint
    task:      what is made
    split:     of the documents whose conditions are given
    first:     of them, counted from 0 among the originals that the data set keeps
    documents: how many are made, each with a seed of its own from `seed` on
    slow:      also what takes a second a document is measured
    sampler:   see `mdm.sampling.settings`
    """

    run: str
    step: int
    task: str
    split: str = "heldout"
    first: int = 0
    documents: int = 48
    seed: int = 0
    slow: bool = False
    sampler: SamplerSettings = dataclasses.field(default_factory=SamplerSettings)

    @property
    def measures(self) -> tuple[Measure, ...]:
        return tuple(measure for measure in (MEASURES if self.slow else QUICK) if self.task in measure.tasks)

    def problems(self) -> list[Problem]:
        found = []
        for key, legal in (("task", tuple(TASKS)), ("split", SPLITS)):
            if getattr(self, key) not in legal:
                found.append(Problem(key, getattr(self, key), "unknown", f"use one of {legal}"))
        for key, low in (("step", 1), ("first", 0), ("documents", 2), ("seed", 0)):
            if getattr(self, key) < low:
                found.append(Problem(key, getattr(self, key), f"is below {low}", "see SamplingSettings"))
        return found + self.sampler.problems("sampler", TASKS[self.task] if self.task in TASKS else None)


class Sampled(NamedTuple):
    """What `Sampling.sample` gives: figures, and network calls (whole rows, parts of rows) and seconds for all documents."""

    figures: Sequence[Generated]
    network_calls: int
    part_calls: int
    seconds: float


class Counted:
    """A maker (`mdm.evaluation.gallery.Maker`) that notes what its samples took.

    maker: its `generate` gives `calls` and `seconds` besides `documents`, as that of `mdm.trained.TrainedModel` does
    """

    def __init__(self, maker: Any):
        self._maker = maker
        self.network_calls, self.part_calls, self.seconds = 0, 0, 0.0

    def generate(self, requests: Sequence[Any], sampler: SamplerSettings, seeds: Sequence[int]) -> Any:
        sampled = self._maker.generate(requests, sampler, seeds)
        self.seconds += sampled.seconds
        self.network_calls += int(sampled.calls.whole)
        self.part_calls += int(sampled.calls.part)
        return sampled

    def __getattr__(self, name: str) -> Any:
        return getattr(self._maker, name)


@dataclasses.dataclass(frozen=True)
class Sampling:
    """A `studies.work.Work`; its fields are what it needs from above.

    mark:   run folder -> fingerprint of the run's settings; Refusal if it is none
    sample: samples and measures
    """

    mark: Callable[[str], str]
    sample: Callable[[SamplingSettings], Sampled]

    def resolve(self, config: Mapping) -> SamplingSettings:
        """Raises Refusal for a key that does not exist or a value that cannot be used."""
        found = [*_unknown("", config, SamplingSettings), *_unknown("sampler.", config["sampler"], SamplerSettings)]
        refuse_if(found)
        settings = SamplingSettings(**{**config, "sampler": SamplerSettings(**config["sampler"])})
        refuse_if(settings.problems())
        return settings

    def to_dict(self, settings: SamplingSettings) -> dict:
        return dataclasses.asdict(settings)

    def identity(self, value: Mapping, overrides: Container[str]) -> dict:
        """The run by what it is, not by where it lies."""
        return {**value, "run": self.mark(value["run"])}

    def names(self, settings: SamplingSettings, probes: Sequence[str]) -> set[str]:
        figures = {f"{m.modality}/{figure.name}" for m in settings.measures for figure in m.figures}
        return {*figures, *(f"{name} error" for name in figures), *COUNTS}

    def perform(self, settings: SamplingSettings, run: RunFolder, probes: Sequence[str]) -> Outcome:
        """Leaves nothing in the trial's folder: a trial that was stopped begins anew."""
        sampled = self.sample(settings)
        found: dict[str, Any] = dict.fromkeys(self.names(settings, probes))
        for figure in sampled.figures:
            if figure.split == settings.split:
                name = f"{figure.modality}/{figure.what}"
                found |= {name: _finite(figure.model), f"{name} error": _finite(figure.se_data)}
        found |= {name: float(getattr(sampled, name)) for name in COUNTS}
        reason = "" if sampled.figures else "nothing was measured"
        return Outcome(found, reason, ())


def _unknown(at: str, config: Mapping, kind: type) -> list[Problem]:
    known = [field.name for field in dataclasses.fields(kind)]
    found = []
    for key in config:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            remedy = f"did you mean {near[0]}?" if near else f"use one of {tuple(known)}"
            found.append(Problem(f"{at}{key}", config[key], "is not a setting", remedy))
    return found


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)
