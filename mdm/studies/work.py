"""Work: what a trial does, trains a model or samples one. A study names its kind."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from mdm.runs.folder import RunFolder

TRAINING, SAMPLING = "training", "sampling"
WORKS = (TRAINING, SAMPLING)


class Outcome(NamedTuple):
    """metrics: figures by name, None for one that is not finite. reason: why the trial has no figure, "" if it has; data:
    fingerprints of what it was scored on."""

    metrics: Mapping[str, float | None]
    reason: str
    data: tuple[str, ...]


class Work(Protocol):
    """All that the study engine knows of its trials."""

    def resolve(self, config: Mapping) -> Any:
        """Plain settings -> frozen ones, or Refusal."""
        ...

    def to_dict(self, settings: Any) -> dict:
        """The way back."""
        ...

    def identity(self, value: Mapping, overrides: Container[str]) -> dict:
        """What of resolved settings decides the figures of a trial. overrides: dotted keys that the study sets itself."""
        ...

    def names(self, settings: Any, probes: Sequence[str]) -> set[str]:
        """Figures of a trial with these settings, before it is run."""
        ...

    def perform(self, settings: Any, run: RunFolder, probes: Sequence[str]) -> Outcome:
        """Does the work in a run folder, from where an earlier start of it was stopped."""
        ...
