"""Evaluation tasks: what is measured on which stream and split. A new kind of measure is one entry in `MEASURES`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from absl import logging

from mdm.data.manifest import Manifest
from mdm.data.streams import StreamSettings
from mdm.evaluation.chain_rule import chain_rule
from mdm.evaluation.elbo import DenoiserFactory
from mdm.evaluation.incomplete import refuse_missing
from mdm.evaluation.likelihood import likelihood
from mdm.evaluation.material import Material, UnitsOf, nothing
from mdm.evaluation.result import Result
from mdm.evaluation.settings import EvaluationSettings
from mdm.problems import Refusal

MEASURES: dict[str, Callable[[Material, str, str, str, Any], list[Result]]] = {
    "likelihood": likelihood,
    "chain-rule": chain_rule,
}
"""Name -> (material, stream, task, split, parameters) -> results."""


@dataclasses.dataclass(frozen=True)
class EvaluationTask:
    """what: a name in `MEASURES`."""

    stream: str
    task: str
    split: str
    what: str

    @property
    def name(self) -> str:
        return f"{self.split}/{self.stream}/{self.task}/{self.what}"


def tasks_of(
    streams: Mapping[str, StreamSettings], splits: tuple[str, ...], what: str = "likelihood"
) -> tuple[EvaluationTask, ...]:
    """One measure of every task that the streams draw, on each split."""
    return tuple(
        EvaluationTask(name, task, split, what)
        for split in splits
        for name, stream in streams.items()
        for task in stream.drawn
    )


def run(
    material: Material,
    tasks: tuple[EvaluationTask, ...],
    parameters: Any,
    kept: Mapping[str, Sequence[Result]] = MappingProxyType({}),
    keep: Callable[[str, Sequence[Result]], None] = lambda name, results: None,
) -> list[Result]:
    """Results of all `tasks`. Call it again with the same material for the next checkpoint: nothing is compiled or read again.

    kept: results by name of task that are there already, and are not made again; keep: told each task's results
    A task that is refused does not keep the others from being made: Incomplete, with all that was wrong, is raised at the end, or
    Refusal if none could be made.
    """
    results, problems, missing = [], [], []
    for task in tasks:
        if task.name in kept:
            results += kept[task.name]
            continue
        try:
            own = MEASURES[task.what](material, task.stream, task.task, task.split, parameters)
        except Refusal as refusal:
            logging.error("%s is left out: %s", task.name, refusal)
            problems += refusal.problems
            missing.append(task.name)
            continue
        for result in own:
            logging.info("%s: %s %.4f bits per token, %.1f s", task.name, result.modality, result.bits, result.seconds)
        keep(task.name, own)
        results += own
    refuse_missing(problems, results, missing)
    return results


def evaluate(
    network: DenoiserFactory,
    parameters: Any,
    manifest: Manifest,
    settings: EvaluationSettings,
    row_length: int,
    streams: Mapping[str, StreamSettings],
    units_of: UnitsOf = nothing,
) -> list[Result]:
    """The likelihood of every task of `streams`, of one checkpoint.

    streams:    name -> its settings, as in the run's `data.streams`
    row_length: of the run; no document is laid out in more
    units_of:   counts bytes, characters, pictures and seconds behind codes
    Raises Refusal for settings, streams, splits or a vocabulary that do not fit together, and for unreadable data.
    """
    material = Material(network, manifest, settings, row_length, streams, units_of)
    return run(material, tasks_of(streams, settings.splits), parameters)
