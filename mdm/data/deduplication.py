"""Which documents of all parts are left out because another one is their duplicate.

Nearly equal texts are found by locality-sensitive hashing: those whose signatures agree in one whole band of places are compared
(Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, chapter 3). Of documents that are duplicates of one another a
held-out one stays before one for training, and else the first in the order of writing. So no document for training equals one
that is held out. Of nearly equal texts this holds for most, not for all: in each band every text is compared with the first one
alone, so that the work is linear, and one for training stays if it is near another that is held out, but not near the first.

Memory: what is grouped is 29 bytes a document for "exact" and, for "near", 21 more for each of BANDS (365 in all). In process
all of it is held: 0.4 GB for a million texts, 37 GB for 10^8. On a cluster the runner holds it, and a worker a 64th.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from mdm import atomic
from mdm.data import opened, parts
from mdm.data.opened import Opened
from mdm.data.workspace import Job
from mdm.tokens.hashing import mix

BANDS = 16  # of 8 places: at a similarity of 0.8 a pair meets in one with probability 0.95, at 0.5 with 0.06
NEAR = 0.8  # share of word sequences from which on texts are duplicates
KINDS = ("exact", "near")
DROPPED = ".dropped.npz"

_BUCKETS = 64  # of documents that may be duplicates: each is looked at by one worker, in memory
_EXACT = np.dtype([("key", "<u8"), ("rest", "<u8"), ("train", "?"), ("order", "<u8"), ("index", "<u4")])
_NEAR = np.dtype([("key", "<u8"), ("train", "?"), ("order", "<u8"), ("index", "<u4")])


def stages(job: Job) -> tuple[Callable, ...]:
    """What an engine runs over the numbers of parts, to leave a file beside each that has documents to leave out."""
    return functools.partial(_entries, job), functools.partial(_losers, job), functools.partial(_write, job)


def dropped(job: Job, number: int) -> dict[str, np.ndarray]:
    """kind -> int64 indices, in a part, of documents that are left out."""
    path = job.part(number, DROPPED)
    if not path.exists():
        return {kind: np.zeros(0, np.int64) for kind in KINDS}
    with np.load(path, allow_pickle=False) as arrays:
        return {kind: arrays[kind] for kind in KINDS}


def _entries(job: Job, number: int) -> Iterator[tuple[int, tuple[int, bytes]]]:
    """(bucket, (part, entries)): documents with equal keys are in one bucket, and may be duplicates."""
    part = parts.load(job, number)
    if not part.digests.shape[1]:
        return
    halves = np.ascontiguousarray(part.digests).view("<u8")
    exact = _filled(_EXACT, part, np.arange(len(part.order)), halves[:, 0])
    exact["rest"] = halves[:, 1]
    yield from _dealt(number, 0, exact)
    path = job.part(number, parts.SIGNATURES)
    if path.exists():
        bands = np.load(path, allow_pickle=False).reshape(len(part.order), BANDS, -1)
        keys = mix(np.arange(BANDS), *np.moveaxis(bands, 2, 0))
        yield from _dealt(
            number, _BUCKETS, _filled(_NEAR, part, np.repeat(np.arange(len(bands)), BANDS), keys.reshape(-1))
        )


def _filled(kind: np.dtype, part: parts.Part, index: np.ndarray, key: np.ndarray) -> np.ndarray:
    entries = np.zeros(len(index), kind)
    entries["key"], entries["index"] = key, index
    entries["train"], entries["order"] = ~part.heldout[index], part.order[index]
    return entries


def _dealt(number: int, first: int, entries: np.ndarray) -> Iterator[tuple[int, tuple[int, bytes]]]:
    buckets = entries["key"] % _BUCKETS
    for bucket in np.unique(buckets).tolist():
        yield first + bucket, (number, entries[buckets == bucket].tobytes())


def _losers(job: Job, group: tuple[int, Iterable[tuple[int, bytes]]]) -> Iterator[tuple[int, tuple[str, bytes]]]:
    """(part, (kind, indices)) of those in a bucket that are duplicates of the first with their key: held-out ones before those
    for training, then by order, part and index."""
    kind, dtype = ("exact", _EXACT) if group[0] < _BUCKETS else ("near", _NEAR)
    own = dict(group[1])
    entries = np.concatenate([np.frombuffer(content, dtype) for content in own.values()])
    numbers = np.repeat(list(own), [len(content) // dtype.itemsize for content in own.values()])
    rest = entries["rest"] if kind == "exact" else np.zeros(len(entries), np.uint64)
    sorted_ = np.lexsort((entries["index"], numbers, entries["order"], entries["train"], rest, entries["key"]))
    entries, numbers, rest = entries[sorted_], numbers[sorted_], rest[sorted_]
    leads = np.ones(len(entries), bool)
    leads[1:] = (entries["key"][1:] != entries["key"][:-1]) | (rest[1:] != rest[:-1])
    first = np.maximum.accumulate(np.where(leads, np.arange(len(entries)), 0))
    lost = np.flatnonzero(~leads)
    if kind == "near":
        signatures = _signatures(job)
        of = lambda at: signatures[int(numbers[at])][entries["index"][at]]  # noqa: E731
        # Two bands of one text may have one key, if hardly ever.
        lost = lost[(numbers[lost] != numbers[first[lost]]) | (entries["index"][lost] != entries["index"][first[lost]])]
        lost = np.array([at for at in lost.tolist() if np.mean(of(first[at]) == of(at)) >= NEAR], np.int64)
    for number in np.unique(numbers[lost]).tolist():
        yield number, (kind, entries["index"][lost[numbers[lost] == number]].astype("<i8").tobytes())


def _signatures(job: Job) -> Opened[np.ndarray]:
    """uint32 [N, places] of the documents of a part."""
    load = lambda number: np.load(job.part(number, parts.SIGNATURES), mmap_mode="r", allow_pickle=False)  # noqa: E731
    return Opened(load, opened.most_files())


def _write(job: Job, group: tuple[int, Iterable[tuple[str, bytes]]]) -> None:
    number, own = group[0], list(group[1])
    found = {
        kind: {i for other, content in own if other == kind for i in np.frombuffer(content, "<i8").tolist()}
        for kind in KINDS
    }
    found["near"] -= found["exact"]
    with atomic.replacing(job.part(number, DROPPED), shared=True) as temporary, open(temporary, "wb") as file:
        np.savez(file, **{kind: np.array(sorted(indices), np.int64) for kind, indices in found.items()})
