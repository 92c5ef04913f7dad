"""Assembly: documents of all parts, in an order that looks random, as the shards of streams and splits.

Which shard a document belongs to follows from where it stands in the order, by boundaries that are found from counts alone,
so no worker ever holds more than one shard. How they get there is told in `shuffle`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from mdm import atomic
from mdm.data import deduplication, documents, parts, shards
from mdm.data.manifest import SPLITS, Shard, Stream
from mdm.data.workspace import Job, Task
from mdm.tokens.vocabulary import MODALITIES

_BITS = (
    20  # of the order, by which boundaries are drawn: shards are full as long as there are fewer documents than 2^32
)
MOST_BYTES = 1 << 30  # of codes in a shard: a worker holds one
RECORDS, LENGTHS, USAGE, FIGURES = ".array_record", ".lengths.npy", ".usage.npz", ".json"

Place = tuple[str, str]
"""(stream, split)"""


@dataclasses.dataclass(frozen=True)
class Boundaries:
    """Of the shards of each place. starts: int64, the first bucket of the order that belongs to each shard; first: the number
    of the place's first shard among all of them; documents: of each source, by split."""

    starts: Mapping[Place, np.ndarray]
    first: Mapping[Place, int]
    documents: Mapping[str, Mapping[str, int]]

    @property
    def count(self) -> int:
        """How many shards there are."""
        return sum(map(len, self.starts.values()))

    def place(self, number: int) -> Place:
        """Which stream and split shard `number` belongs to."""
        return next(place for place, first in self.first.items() if 0 <= number - first < len(self.starts[place]))


def boundaries(job: Job, tasks: Sequence[Task], most: int) -> Boundaries:
    """Shards of at most `most` documents and MOST_BYTES each. Reads the index of every part, keeps counts only.

    Documents that are left out are not counted. A place without documents has no shard.
    """
    places = [(stream, split) for split in SPLITS for stream in dict.fromkeys(s.stream for s in job.sources.values())]
    counts, sizes = ({place: np.zeros(1 << _BITS, np.int64) for place in places} for _ in range(2))
    documents = {task.source: dict.fromkeys(SPLITS, 0) for task in tasks}
    for task in tasks:
        part = parts.load(job, task.number)
        codes = part.lengths.sum(axis=1, dtype=np.int64)
        for split, chosen, buckets in _split(job, task, part):
            place = (job.sources[task.source].stream, split)
            documents[task.source][split] += int(chosen.sum())
            np.add.at(counts[place], buckets[chosen], 1)
            np.add.at(sizes[place], buckets[chosen], 4 * codes[chosen])
    starts, first, total = {}, {}, 0
    for place, own in counts.items():
        starts[place], first[place] = _starts(own, sizes[place], most), total
        total += len(starts[place])
    return Boundaries(starts, first, documents)


def _starts(counts: np.ndarray, sizes: np.ndarray, most: int) -> np.ndarray:
    filled = np.flatnonzero(counts)
    limits = [(np.cumsum(counts[filled]), most), (np.cumsum(sizes[filled]), MOST_BYTES)]
    starts, place = [], 0
    while place < len(filled):
        starts.append(int(filled[place]))
        ends = [np.searchsorted(sums, (sums[place - 1] if place else 0) + own, side="right") for sums, own in limits]
        # At least one bucket, even if it alone holds more than a shard should.
        place = max(place + 1, int(min(ends)))
    return np.array(starts, np.int64)


def _split(job: Job, task: Task, part: parts.Part) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """(split, bool [N], bucket [N]) of the documents of a part: those of the split that are not left out."""
    kept = np.ones(len(part.order), bool)
    for indices in deduplication.dropped(job, task.number).values():
        kept[indices] = False
    buckets = (part.order >> np.uint64(64 - _BITS)).astype(np.int64)
    for split in SPLITS:
        yield split, kept & (part.heldout == (split == "heldout")), buckets


def shards_of(job: Job, bounds: Boundaries, task: Task, part: parts.Part) -> np.ndarray:
    """int64 [N]: the shard of each document of a part, -1 for those that are left out."""
    found = np.full(len(part.order), -1, np.int64)
    for split, chosen, buckets in _split(job, task, part):
        place = (job.sources[task.source].stream, split)
        own = np.searchsorted(bounds.starts[place], buckets[chosen], side="right") - 1
        found[chosen] = bounds.first[place] + own
    return found


def is_written(job: Job, number: int) -> bool:
    return job.shard(number, FIGURES).exists()


def write_shard(job: Job, bounds: Boundaries, number: int, ordered: Sequence[bytes]) -> None:
    """Writes one shard of records in their order."""
    stream, split = bounds.place(number)
    usage = {
        f"{modality}.{book}": np.zeros(size, np.int64)
        for modality in job.modalities[stream]
        for book, size in enumerate(job.codebooks[modality])
    }
    lengths = np.zeros((len(ordered), len(MODALITIES)), np.int32)
    for row, record in enumerate(ordered):
        stored = documents.decode(record, f"shard {number} record {row}")
        for modality, codes in stored.content.items():
            lengths[row, MODALITIES.index(modality)] = codes.size
            flat = codes.reshape(-1, len(job.codebooks[modality]))
            for book, size in enumerate(job.codebooks[modality]):
                usage[f"{modality}.{book}"] += np.bincount(flat[:, book], minlength=size)
    size, digest = shards.write_records(job.shard(number, RECORDS), ordered)
    _save(job.shard(number, LENGTHS), lambda file: np.save(file, lengths))
    _save(job.shard(number, USAGE), lambda file: np.savez(file, **usage))
    figures = {"stream": stream, "split": split, "documents": len(ordered), "bytes": size, "sha256": digest}
    atomic.write_text(job.shard(number, FIGURES), json.dumps(figures), shared=True)


def _save(path: Path, write: Callable) -> None:
    with atomic.replacing(path, shared=True) as temporary, open(temporary, "wb") as file:
        write(file)


def publish(job: Job, bounds: Boundaries) -> tuple[dict[str, Stream], dict]:
    """Gives all shards their final names; (streams of the manifest, usage of codes: range -> int64 [codes])."""
    count = bounds.count
    job.expect(job.shard(n, FIGURES) for n in range(count))
    figures = [json.loads(job.shard(n, FIGURES).read_text(encoding="utf-8")) for n in range(count)]
    written: dict[Place, list[Shard]] = {place: [] for place in bounds.starts}
    content = {place: dict.fromkeys(job.modalities[place[0]], 0) for place in bounds.starts}
    usage: dict[str, np.ndarray] = {}
    (job.directory / "lengths").mkdir(exist_ok=True)
    of_split = {split: [n for n in range(count) if figures[n]["split"] == split] for split in SPLITS}
    for split, numbers in of_split.items():
        for position, number in enumerate(numbers):
            own = figures[number]
            place = (own["stream"], split)
            file = shards.file_name(split, position, len(numbers))
            first = sum(shard.documents for shard in written[place])
            shard = Shard(file, own["documents"], first, own["bytes"], own["sha256"])
            written[place].append(shard)
            with np.load(job.shard(number, USAGE), allow_pickle=False) as arrays:
                usage = usage | {name: arrays[name] + (usage[name] if name in usage else 0) for name in arrays.files}
            _move(job.shard(number, LENGTHS), shards.lengths_path(job.directory, shard))
            _move(job.shard(number, RECORDS), job.directory / file)
            lengths = shards.lengths(job.directory, shard).sum(axis=0, dtype=np.int64)
            for modality in content[place]:
                content[place][modality] += int(lengths[MODALITIES.index(modality)])
    streams = {
        stream: Stream(
            name=stream,
            modalities=job.modalities[stream],
            shards={split: tuple(written[stream, split]) for split in SPLITS},
            content={split: content[stream, split] for split in SPLITS},
        )
        for stream in dict.fromkeys(stream for stream, _ in bounds.starts)
    }
    return streams, usage


def _move(source: Path, target: Path) -> None:
    if source.exists():  # else a start before this one has moved it
        source.replace(target)
