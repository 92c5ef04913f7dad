"""A census of a data set: the lengths of its documents, how often each code occurs, how full its rows will be.

All but the lengths is taken from documents spread evenly over a split: a data set may be larger than anybody wants to read.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from mdm.data import shards
from mdm.data.documents import Stored
from mdm.data.manifest import Manifest, Shard, again
from mdm.problems import Problem, Refusal
from mdm.tokens.vocabulary import MODALITIES

_AT_ONCE = 256  # records


@dataclasses.dataclass(frozen=True)
class Usage:
    """How a range was used. counts: int64 [symbols], occurrences by code; documents: that were read."""

    name: str
    counts: np.ndarray
    documents: int

    @property
    def used(self) -> int:
        """Codes that occur."""
        return int((self.counts > 0).sum())

    @property
    def perplexity(self) -> float:
        """The number of codes that would be as hard to guess if all were as frequent; 0 if there are none."""
        shares = self.counts[self.counts > 0] / max(1, self.counts.sum())
        return float(np.exp(-(shares * np.log(shares)).sum())) if shares.size else 0.0


def lengths(manifest: Manifest, stream: str, split: str) -> Mapping[str, np.ndarray]:
    """Content positions int32 [documents] of each modality of a stream."""
    own = manifest.streams[stream]
    parts = [shards.lengths(manifest.directory, shard) for shard in own.shards[split]]
    every = np.concatenate(parts) if parts else np.zeros((0, len(MODALITIES)), np.int32)
    return {modality: every[:, MODALITIES.index(modality)] for modality in own.modalities}


def spread(manifest: Manifest, stream: str, split: str, most: int) -> Iterator[tuple[int, Stored]]:
    """(number, document as it is kept) of at most `most` documents, evenly spread over a split and in order."""
    own: Sequence[Shard] = manifest.streams[stream].shards[split]
    total = sum(shard.documents for shard in own)
    numbers = np.unique(np.linspace(0, total - 1, min(most, total)).round().astype(np.int64))
    for shard in own:
        start, stop = np.searchsorted(numbers, [shard.first, shard.first + shard.documents])
        indices = (numbers[start:stop] - shard.first).tolist()
        reader = shards.ShardReader(manifest.directory, shard)
        for start in range(0, len(indices), _AT_ONCE):
            part = indices[start : start + _AT_ONCE]
            for index, stored in zip(part, reader.read(part), strict=True):
                yield shard.first + index, stored


def usage(manifest: Manifest, split: str, most: int) -> tuple[Usage, ...]:
    """How each range of the vocabulary is used, from at most `most` documents of each stream.

    Raises Refusal for a code that its codebook does not have.
    """
    ranges = manifest.vocabulary.ranges
    counts = {own.name: np.zeros(own.symbols, np.int64) for own in ranges}
    read = dict.fromkeys(counts, 0)
    for stream in manifest.streams:
        for number, stored in spread(manifest, stream, split, most):
            for modality, codes in stored.content.items():
                own = [r.name for r in ranges if r.modality == modality]
                columns = codes.reshape(-1, len(own)) if modality == "audio" else codes.reshape(-1, 1)
                for name, column in zip(own, columns.T, strict=True):
                    found = np.bincount(column, minlength=len(counts[name]))
                    if len(found) > len(counts[name]):
                        where = f"{stream} {split} document {number}"
                        reason = f"the codebook has {len(counts[name])} codes"
                        raise Refusal(Problem(where, int(column.max()), reason, again(manifest.directory)))
                    counts[name] += found
                    read[name] += 1
    return tuple(Usage(name, counts[name], read[name]) for name in counts)
