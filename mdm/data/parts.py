"""Parts: what became of the pieces of sources, one file of encoded documents each, with an index of what later steps need."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from array_record.python.array_record_module import ArrayRecordWriter

from mdm import atomic
from mdm.codecs import registry
from mdm.codecs.codec import Codec, Codes, Media, Sound
from mdm.codecs.codec import encode as encode_media
from mdm.data import documents, duplicates, sources
from mdm.data.media import Item
from mdm.data.workspace import Job, Task
from mdm.problems import Problem, Refusal
from mdm.tokens.hashing import mix, text_key
from mdm.tokens.rows import Document
from mdm.tokens.vocabulary import MODALITIES

BATCH = 256  # items that are open at once
BATCH_BYTES = 1 << 28  # and bytes of their media, roughly
BATCH_TEXT = 1 << 24  # of them text, as UTF-8: a tokenizer takes some 40 bytes for one, so 0.6 GB a worker
RECORDS, INDEX, SIGNATURES = ".array_record", ".npz", ".signatures.npy"


@dataclasses.dataclass(frozen=True)
class Part:
    """Index of the documents of one piece, in the order of their records.

    order:   uint64 [N], where a document stands among all of its stream and split
    heldout: bool [N]
    lengths: int32 [N, modalities], content positions
    digests: uint8 [N, 16] of the media, where duplicates are looked for, else [N, 0]
    """

    order: np.ndarray
    heldout: np.ndarray
    lengths: np.ndarray
    digests: np.ndarray


def order_of(seed: int, key: str) -> int:
    """Documents are written in this order, which looks random."""
    return int(mix(seed, text_key(key)))


def load(job: Job, number: int) -> Part:
    """The index of the part of piece `number`."""
    with np.load(job.part(number, INDEX), allow_pickle=False) as arrays:
        return Part(**{field.name: arrays[field.name] for field in dataclasses.fields(Part)})


def encode(job: Job, task: Task) -> None:
    """Makes the part of one piece, unless it is there. What cannot be used is skipped, or refused in `job`'s folder."""
    job.check_here()
    if job.part(task.number, INDEX).exists() or job.refused:
        return
    try:
        job.forget_skips(task.number)
        _write(job, task)
    except Refusal as refusal:
        job.refuse(task.number, refusal)


def _write(job: Job, task: Task) -> None:
    settings = job.sources[task.source]
    codecs = {m: _codec(job.directory / "codecs" / m) for m in job.modalities[settings.stream]}
    wanted = settings.chosen.duplicates
    rows: dict[str, list] = {field.name: [] for field in dataclasses.fields(Part)}
    signatures = []
    with atomic.replacing(job.part(task.number, RECORDS), shared=True) as temporary:
        writer = ArrayRecordWriter(str(temporary), "group_size:1")  # records are read one by one
        for item, media, document, record in _encoded(job, task, codecs):
            writer.write(record)
            rows["order"].append(order_of(job.seed, item.key))
            rows["heldout"].append(settings.split_of(item.concept, job.seed, job.heldout) == "heldout")
            rows["lengths"].append([document[m].size if m in document else 0 for m in MODALITIES])
            rows["digests"].append(duplicates.digest(media) if wanted != "keep" else np.zeros(0, np.uint8))
            if wanted == "near" and set(media) == {"text"}:
                signatures.append(duplicates.signature(media["text"]))
        writer.close()
    if signatures:
        with (
            atomic.replacing(job.part(task.number, SIGNATURES), shared=True) as temporary,
            open(temporary, "wb") as file,
        ):
            np.save(file, np.stack(signatures))
    count = len(rows["order"])
    width = 0 if wanted == "keep" else duplicates.DIGEST
    arrays = {
        "order": np.array(rows["order"], np.uint64),
        "heldout": np.array(rows["heldout"], bool),
        "lengths": np.array(rows["lengths"], np.int32).reshape(count, len(MODALITIES)),
        "digests": np.array(rows["digests"], np.uint8).reshape(count, width),
    }
    with atomic.replacing(job.part(task.number, INDEX), shared=True) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays)


def _encoded(
    job: Job, task: Task, codecs: Mapping[str, Codec]
) -> Iterator[tuple[Item, Mapping[str, Media], Document, bytes]]:
    """(item, media, document, record) of every record of a piece that can be used, in order."""
    skip = functools.partial(job.skip, task.number, uuid.uuid4().hex)
    for opened in _batches(job, task, skip):
        for (item, media), document in zip(opened, _documents(opened, codecs, skip), strict=True):
            if document is None:
                continue
            try:
                record = documents.encode(item.key, item.concept, document)
            except Refusal as refusal:
                skip(item.key, refusal)
                continue
            yield item, media, document, record


def _batches(job: Job, task: Task, skip) -> Iterator[list[tuple[Item, dict[str, Media]]]]:
    settings = job.sources[task.source]
    wanted = set(job.modalities[settings.stream])
    opened, size, text = [], 0, 0
    for item in sources.items_of(task.source, settings, task.piece):
        if set(item.media) != wanted:
            found = sorted([sorted(wanted), sorted(item.media)])
            remedy = "give each kind its own stream"
            raise Refusal(Problem(f"stream {settings.stream}", found, "mixes kinds of documents", remedy))
        try:
            media = {modality: read() for modality, read in item.media.items()}
        except Refusal as refusal:
            skip(item.key, refusal)
            continue
        opened.append((item, media))
        size += sum(map(media_bytes, media.values()))
        text += sum(len(own.encode("utf-8", "surrogatepass")) for own in media.values() if isinstance(own, str))
        if len(opened) == BATCH or size > BATCH_BYTES or text > BATCH_TEXT:
            yield opened
            opened, size, text = [], 0, 0
    if opened:
        yield opened


def _documents(
    opened: list[tuple[Item, dict[str, Media]]], codecs: Mapping[str, Codec], skip
) -> Iterator[Document | None]:
    """The document of each item; None for one that a codec refused."""
    try:
        codes = {m: encode_media(codec, [media[m] for _, media in opened]) for m, codec in codecs.items()}
    except Refusal as refusal:
        if len(opened) > 1:  # one by one, to learn which
            yield from itertools.chain.from_iterable(_documents([one], codecs, skip) for one in opened)
            return
        key = opened[0][0].key
        skip(key, refusal.inside(key))
        yield None
        return
    for number in range(len(opened)):
        yield {m: own[number] for m, own in codes.items()}


def media_bytes(media: Media) -> int:
    """Bytes that a medium takes in memory, roughly."""
    if isinstance(media, str):
        return len(media)
    array = media.samples if isinstance(media, Sound) else media.codes if isinstance(media, Codes) else media
    return array.nbytes


@functools.lru_cache(maxsize=8)
def _stamped(folder: Path, _stamp: int) -> Codec:
    return registry.load(folder)


def _codec(folder: Path) -> Codec:
    """The codec in a folder, loaded once by a process as long as its description does not change."""
    return _stamped(folder, (folder / "codec.json").stat().st_mtime_ns)
