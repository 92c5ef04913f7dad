"""How long the spans of a data set are: what a canvas must hold when its length is not given.

The model reads the length of a span off the canvas: behind n codes a row of training has 1 to 5 + n/4 ENDs and no more, so a
canvas of T positions can only become a text or sound of T - 1 down to about 4 T / 5 codes. One that always had the mean length
would leave out all others; drawn as rows of training are laid out, its lengths are theirs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from mdm.data import shards
from mdm.data.manifest import Manifest
from mdm.tokens.tasks import TASKS
from mdm.tokens.vocabulary import ENDING, MODALITIES

SHARDS = 16  # that many of a stream are looked at
_QUANTILES = 101  # of the scatter


@dataclasses.dataclass(frozen=True)
class SpanLength:
    """Content positions of a target, beside `given` positions of what was known or made before it: of the conditions of its task
    and of the targets of free length that stand before it.

    offset, slope: offset + slope * given is what is expected
    most:    the longest seen
    scatter: quantiles of what the training documents have beyond that, evenly spaced from the least to the greatest
    """

    offset: float
    slope: float
    most: int
    scatter: tuple[float, ...] = (0.0,)  # in run folders that were written before it was kept

    def expected(self, given: int) -> int:
        """At least 1 and at most the longest seen."""
        return self._counted(self.offset + self.slope * given)

    def drawn(self, given: int, share: float) -> int:
        """As training documents have it: the quantile `share`, in [0, 1), of their lengths beside so many positions."""
        beyond = np.interp(share, np.linspace(0, 1, len(self.scatter)), self.scatter)
        return self._counted(self.offset + self.slope * given + float(beyond))

    def _counted(self, positions: float) -> int:
        return int(np.clip(round(positions), 1, self.most))


def span_lengths(manifest: Manifest, tasks: Mapping[str, tuple[str, ...]]) -> dict[str, dict[str, SpanLength]]:
    """For each task of each stream and each target of free length: least squares on the training documents.

    tasks: stream -> its tasks. Result: task -> modality -> SpanLength.
    """
    found: dict[str, dict[str, SpanLength]] = {}
    for stream, names in tasks.items():
        own = manifest.streams[stream].shards["train"][:SHARDS]
        every = np.concatenate([shards.lengths(manifest.directory, shard) for shard in own]).astype(float)
        lengths = dict(zip(MODALITIES, every.T, strict=True))
        for name in names:
            given, found[name] = sum(lengths[m] for m in TASKS[name].conditions), {}
            for modality in TASKS[name].targets:
                if modality in ENDING:
                    found[name][modality] = _fit(given, lengths[modality])
                    given = given + lengths[modality]
    return found


def _fit(given: np.ndarray | int, target: np.ndarray) -> SpanLength:
    slope, offset = (0.0, target.mean()) if not np.ptp(given) else np.polyfit(given, target, 1)
    beyond = np.quantile(target - offset - slope * given, np.linspace(0, 1, _QUANTILES))
    return SpanLength(float(offset), float(slope), int(target.max()), tuple(beyond.round(3).tolist()))
