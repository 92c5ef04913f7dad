"""Shards: ArrayRecord files of documents, written once and read at random."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from array_record.python.array_record_module import ArrayRecordReader, ArrayRecordWriter

from mdm import atomic
from mdm.data import documents
from mdm.data.manifest import Manifest, Shard, again
from mdm.data.opened import too_many
from mdm.fingerprint import file_digest
from mdm.problems import Fault, Problem, Refusal
from mdm.tokens.rows import Document
from mdm.tokens.vocabulary import MODALITIES


def file_name(split: str, number: int, count: int) -> str:
    """The name TFDS expects of shard `number` of `count` in a split."""
    return f"mdm-{split}.array_record-{number:05d}-of-{count:05d}"


def write(directory: Path, file: str, items: Sequence[tuple[str, Document]], first: int) -> Shard:
    """Writes one shard of (key, document), each a concept of its own, and its lengths; both appear only when they are whole."""
    size, digest = write_records(directory / file, [documents.encode(key, key, document) for key, document in items])
    lengths = np.array([[d[m].size if m in d else 0 for m in MODALITIES] for _, d in items], np.int32)
    shard = Shard(file, len(items), first, size, digest)
    (directory / "lengths").mkdir(exist_ok=True)
    with atomic.replacing(lengths_path(directory, shard)) as temporary, open(temporary, "wb") as file_:
        np.save(file_, lengths)
    return shard


def write_records(path: Path, records: Iterable[bytes]) -> tuple[int, str]:
    """Writes an ArrayRecord file in one step: (its bytes, its SHA-256). Equal records give equal files."""
    with atomic.replacing(path, shared=True) as temporary:
        writer = ArrayRecordWriter(str(temporary), "group_size:1")  # random access needs one record a group
        for record in records:
            writer.write(record)
        writer.close()
    return path.stat().st_size, file_digest(path)


def lengths_path(directory: Path, shard: Shard) -> Path:
    return directory / "lengths" / f"{shard.stem}.npy"


def lengths(directory: Path, shard: Shard) -> np.ndarray:
    """int32 [documents, modalities]: content positions of each document of a shard."""
    path = lengths_path(directory, shard)
    try:
        value = np.load(path, allow_pickle=False)
        if value.shape != (shard.documents, len(MODALITIES)):
            raise ValueError(f"shape {value.shape}")
    except (FileNotFoundError, EOFError, ValueError) as error:
        reason = f"does not match {shard.documents} documents of {shard.file} ({error})"
        raise Refusal(Problem(str(path), None, reason, again(directory))) from error
    except OSError as error:
        raise _unanswered(path, error) from error
    return value


class ShardReader:
    """Reads documents of one shard by index. Opens the file on first use; safe to share between threads and to pickle."""

    def __init__(self, directory: Path, shard: Shard):
        self._path = directory / shard.file
        self._shard = shard
        self._reader: ArrayRecordReader | None = None
        self._lock = threading.Lock()

    def __getstate__(self):
        return {"directory": self._path.parent, "shard": self._shard}

    def __setstate__(self, state):
        self.__init__(**state)

    def read(self, indices: Sequence[int]) -> list[documents.Stored]:
        """The document of each index. Raises Refusal, naming shard and record, for a file that is not the manifest's;
        Fault if the storage does not give it."""
        with self._lock:
            if self._reader is None:
                self._reader = self._open()
        try:
            records = self._reader.read(list(map(int, indices)))
        except Exception as error:  # the extension raises its own types, by cause
            raise self._judged(f" records {list(indices)}", f"cannot be read ({error})") from error
        pairs = zip(indices, records, strict=True)
        return [documents.decode(record, f"{self._path} record {index}") for index, record in pairs]

    def _open(self) -> ArrayRecordReader:
        try:
            reader = ArrayRecordReader(str(self._path), "readahead_buffer_size:0")
            readable, found = reader.ok(), reader.num_records()
        except Exception as error:
            raise self._judged("", f"cannot be opened ({error})") from error
        if not readable:
            raise self._judged("", "has no readable records")
        if found != self._shard.documents:
            reason = f"the manifest says {self._shard.documents} documents"
            raise Refusal(Problem(str(self._path), found, reason, again(self._path.parent)))
        return reader

    def _judged(self, part: str, wrong: str) -> Refusal | Fault:
        """What a failure means: the extension has one type of error for a damaged file and for storage that does not answer.
        Reads all of the file."""
        shard, where = self._shard, f"{self._path}{part}"
        try:
            whole = self._path.stat().st_size == shard.bytes and file_digest(self._path) == shard.sha256
        except FileNotFoundError:
            whole = False
        except OSError as error:
            return _unanswered(self._path, error)
        if whole:
            return Fault(f"{where} {wrong}, though the file is whole: its storage failed; start again")
        return Refusal(Problem(where, None, wrong, again(self._path.parent)))


def _unanswered(path: Path, error: OSError) -> Refusal | Fault:
    if problem := too_many(error, path):
        return Refusal(problem)
    return Fault(f"{path}: its storage does not answer ({error}); start again when it does")


def read_all(manifest: Manifest, stream: str, split: str) -> Iterator[tuple[int, documents.Stored]]:
    """Yields (number within the stream and split, document as it is kept) of every document, in order, 256 at a time."""
    for shard in manifest.streams[stream].shards[split]:
        reader = ShardReader(manifest.directory, shard)
        for start in range(0, shard.documents, 256):
            indices = range(start, min(start + 256, shard.documents))
            for index, stored in zip(indices, reader.read(indices), strict=True):
                yield shard.first + index, stored
