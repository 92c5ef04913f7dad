"""How long the spans of a data set are: what a canvas must hold when its length is not given."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from mdm.data import shards
from mdm.data.manifest import Manifest
from mdm.tokens.tasks import TASKS
from mdm.tokens.vocabulary import ENDING, MODALITIES

SHARDS = 16  # that many of a stream are looked at


@dataclasses.dataclass(frozen=True)
class SpanLength:
    """Content positions of a target: offset + slope * content positions of its condition; most: the longest seen."""

    offset: float
    slope: float
    most: int

    def of(self, condition: int) -> int:
        """Expected content positions beside a condition of so many, at least 1 and at most the longest seen."""
        return int(np.clip(round(self.offset + self.slope * condition), 1, self.most))


def span_lengths(manifest: Manifest, tasks: Mapping[str, tuple[str, ...]]) -> dict[str, dict[str, SpanLength]]:
    """For each task of each stream and each target of free length: least squares on the training documents.

    tasks: stream -> its tasks. A target without a condition gets the mean. Result: task -> modality -> SpanLength.
    """
    found: dict[str, dict[str, SpanLength]] = {}
    for stream, names in tasks.items():
        own = manifest.streams[stream].shards["train"][:SHARDS]
        lengths = np.concatenate([shards.lengths(manifest.directory, shard) for shard in own]).astype(float)
        for name in names:
            task = TASKS[name]
            given = sum(lengths[:, MODALITIES.index(m)] for m in task.conditions)
            found[name] = {m: _fit(given, lengths[:, MODALITIES.index(m)]) for m in task.targets if m in ENDING}
    return found


def _fit(given: np.ndarray | int, target: np.ndarray) -> SpanLength:
    most = int(target.max())
    if np.ndim(given) == 0 or np.ptp(given) == 0:
        return SpanLength(float(target.mean()), 0.0, most)
    slope, offset = np.polyfit(given, target, 1)
    return SpanLength(float(offset), float(slope), most)
