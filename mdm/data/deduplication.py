"""Which documents of all parts are left out because another one is their duplicate.

Nearly equal texts are found by locality-sensitive hashing: those whose signatures agree in one whole band of places are compared
(Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, chapter 3). Of documents that are duplicates of one another a
held-out one stays before one for training, so that nothing that was trained on comes back as held out, and else the first in
the order of writing. In each group every document is compared with the one that stays, so the work is linear.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from mdm import atomic
from mdm.data import parts
from mdm.data.workspace import Job

BANDS = 16  # of 8 places: at a similarity of 0.8 a pair meets in one with probability 0.95, at 0.5 with 0.06
NEAR = 0.8  # share of word sequences from which on texts are duplicates
KINDS = ("exact", "near")
DROPPED = ".dropped.npz"

Place = tuple[bool, int, int, int, bytes]
"""(is for training, order, part, index, digest or nothing): the least of a group stays."""


def stages(job: Job) -> tuple[Callable, ...]:
    """What an engine runs over the numbers of parts, to leave a file beside each that has documents to leave out."""
    return functools.partial(_places, job), functools.partial(_losers, job), functools.partial(_write, job)


def dropped(job: Job, number: int) -> dict[str, np.ndarray]:
    """kind -> int64 indices, in a part, of documents that are left out."""
    path = job.part(number, DROPPED)
    if not path.exists():
        return {kind: np.zeros(0, np.int64) for kind in KINDS}
    with np.load(path, allow_pickle=False) as arrays:
        return {kind: arrays[kind] for kind in KINDS}


def _places(job: Job, number: int) -> Iterator[tuple[int, Place]]:
    """(whole number, place): documents with equal numbers may be duplicates."""
    part = parts.load(job, number)
    if not part.digests.shape[1]:
        return
    places = [
        (bool(train), int(order), number, index)
        for index, (train, order) in enumerate(zip(~part.heldout, part.order, strict=True))
    ]
    for place, own in zip(places, part.digests, strict=True):
        yield _whole(b"exact", own), (*place, own.tobytes())
    path = job.part(number, parts.SIGNATURES)
    if path.exists():
        for place, own in zip(places, np.load(path, allow_pickle=False), strict=True):
            for band, part_of in enumerate(own.reshape(BANDS, -1)):
                yield _whole(b"%d" % band, part_of), (*place, b"")


def _whole(kind: bytes, content: np.ndarray) -> int:
    """63 bits of a digest: what every runner can group by."""
    return int.from_bytes(hashlib.blake2b(content.tobytes(), key=kind, digest_size=8).digest(), "big") >> 1


def _losers(job: Job, group: tuple[int, Iterable[Place]]) -> Iterator[tuple[int, tuple[str, int]]]:
    """(part, (kind, index)) of those of a group that are duplicates of its first."""
    first: Place = min(group[1])
    signature = None
    for place in group[1]:
        if place == first:
            continue
        *_, number, index, digest = place
        if digest:
            if digest == first[-1]:
                yield number, ("exact", index)
        else:
            signature = _signature(job, *first[2:4]) if signature is None else signature
            if np.mean(signature == _signature(job, number, index)) >= NEAR:
                yield number, ("near", index)


def _signature(job: Job, number: int, index: int) -> np.ndarray:
    return np.load(job.part(number, parts.SIGNATURES), mmap_mode="r", allow_pickle=False)[index]


def _write(job: Job, group: tuple[int, Iterable[tuple[str, int]]]) -> None:
    number, own = group
    found = {kind: {index for other, index in own if other == kind} for kind in KINDS}
    found["near"] -= found["exact"]
    with atomic.replacing(job.part(number, DROPPED), shared=True) as temporary, open(temporary, "wb") as file:
        np.savez(file, **{kind: np.array(sorted(indices), np.int64) for kind, indices in found.items()})
