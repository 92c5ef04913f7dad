"""Evaluation tasks: what is measured on which stream and split. A new kind of measure is one entry in `MEASURES`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from absl import logging

from mdm.data.manifest import Manifest
from mdm.data.streams import StreamSettings
from mdm.evaluation.documents import GroupOf, group_of
from mdm.evaluation.elbo import DenoiserFactory
from mdm.evaluation.likelihood import likelihood
from mdm.evaluation.material import BytesOf, Material
from mdm.evaluation.result import Result
from mdm.evaluation.settings import EvaluationSettings

MEASURES: dict[str, Callable[[Material, str, str, str, Any], list[Result]]] = {"likelihood": likelihood}
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


def tasks_of(streams: Mapping[str, StreamSettings], splits: tuple[str, ...]) -> tuple[EvaluationTask, ...]:
    """The likelihood of every task that the streams draw, on each split."""
    return tuple(
        EvaluationTask(name, task, split, "likelihood")
        for split in splits
        for name, stream in streams.items()
        for task, share in stream.tasks.items()
        if share > 0
    )


def run(material: Material, tasks: tuple[EvaluationTask, ...], parameters: Any) -> list[Result]:
    """Results of all `tasks`. Call it again with the same material for the next checkpoint: nothing is compiled or read again."""
    results = []
    for task in tasks:
        own = MEASURES[task.what](material, task.stream, task.task, task.split, parameters)
        for result in own:
            logging.info("%s: %s %.4f bits per token, %.1f s", task.name, result.modality, result.bits, result.seconds)
        results += own
    return results


def evaluate(
    network: DenoiserFactory,
    parameters: Any,
    manifest: Manifest,
    settings: EvaluationSettings,
    row_length: int,
    streams: Mapping[str, StreamSettings],
    group: GroupOf = group_of,
    bytes_of: BytesOf | None = None,
) -> list[Result]:
    """Evaluates one checkpoint on every task of `streams`.

    streams:    name -> its settings, as in the run's `data.streams`
    row_length: of the run; no document is laid out in more
    group:      names the concept of a document, for the bootstrap
    bytes_of:   counts the bytes behind text codes, for bits per byte
    Raises Refusal for settings, streams, splits or a vocabulary that do not fit together, and for unreadable data.
    """
    material = Material(network, manifest, settings, row_length, streams, group, bytes_of)
    return run(material, tasks_of(streams, settings.splits), parameters)
