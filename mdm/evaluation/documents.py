"""Which documents are evaluated, and how each is laid out.

The choice is a hash of (stream, split, document), so it is the same for every checkpoint, seed and batch size. Documents are
read at random; nothing is read that is not evaluated.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from mdm.data import packing, shards
from mdm.data.documents import Stored
from mdm.data.manifest import Manifest, Shard, Stream
from mdm.data.streams import StreamSettings
from mdm.problems import Problem, refuse_if
from mdm.tokens.hashing import mix, text_key
from mdm.tokens.rows import Document, Row, Segment, build_row, segment_length, tail_length
from mdm.tokens.tasks import TASKS
from mdm.tokens.vocabulary import MODALITIES, Vocabulary

_WHOLE = -1  # the stop of a document that is not cut, as in a packing plan


@dataclasses.dataclass(frozen=True)
class Example:
    """One row to be scored: a document, or a piece of one.

    number: 64-bit hash of (stream, split, document, piece), the key of its noise
    key:    of its document in the data set
    group:  documents of one group are drawn together by the bootstrap
    tails:  ENDs behind each modality
    """

    number: int
    key: str
    group: str
    content: Document
    tails: Mapping[str, int]

    @property
    def positions(self) -> int:
        """Positions it needs, whatever its task."""
        return int(segment_length({m: codes.size for m, codes in self.content.items()}, self.tails))

    def row(self, task: str, vocabulary: Vocabulary, length: int) -> Row:
        return build_row([Segment(self.content, TASKS[task], self.tails)], vocabulary, length)


def group_of(stored: Stored) -> str:
    """Its concept. Where a data set kept none, pairs with the same text belong together and prose is its own: the rule of tables
    without a concept column."""
    if stored.concept:
        return stored.concept
    return stored.key if set(stored.content) == {"text"} else stored.content["text"].tobytes().hex()


def content_number(content: Document) -> int:
    """The number of an `Example` that stands in no data set: 64 bits of a hash of its codes, whatever stands beside it."""
    digest = hashlib.sha256()
    for modality in sorted(content):
        codes = np.ascontiguousarray(content[modality], "<i4")
        digest.update(f"{modality} {codes.shape}".encode() + codes.tobytes())
    return int.from_bytes(digest.digest()[:8], "big")


def choose(
    manifest: Manifest,
    name: str,
    settings: StreamSettings,
    split: str,
    most: int,
    row_length: int,
) -> list[Example]:
    """At most `most` examples of a stream and split, in the order of the data set.

    A stream that splits its documents is cut into pieces that fit a row, as a packing plan would cut it from an empty row
    on; only the last piece has the tail. Then `most` documents are chosen first and `most` of their pieces from these, so
    that the cost does not grow with the data set. What a stream drops because it does not fit a row is left out of what was
    chosen. Raises Refusal naming every other document that is too long to be laid out, and if nothing is left.
    """
    stream = manifest.streams[name]
    place = (text_key(name), text_key(split))
    chosen = _least(stream.shards[split], most, place)
    pieces = [
        (shard, piece, int(mix(*place, shard.first + piece[0], part)))
        for shard, indices in chosen
        for part, piece in _cut(manifest, stream, shard, indices, settings, row_length)
    ]
    kept = {number for _, _, number in sorted(pieces, key=lambda p: p[2])[:most]}
    wanted: dict[Shard, list] = {}
    for shard, piece, number in pieces:
        if number in kept:
            wanted.setdefault(shard, []).append((piece, number))
    examples = [e for shard, own in wanted.items() for e in _read(manifest, stream, shard, own)]
    refuse_if(
        Problem(
            f"{name}, {split}: {example.key}",
            f"{example.positions} positions",
            f"longer than a row of {row_length}",
            "raise data.row_length, shorten the document, or let its stream split documents",
        )
        for example in examples
        if example.positions > row_length and not settings.drop_long
    )
    fitting = [example for example in examples if example.positions <= row_length]
    if chosen and not fitting:
        reason = f"none of its documents that were chosen fits a row of {row_length}"
        refuse_if([Problem(f"{name}, {split}", len(examples), reason, "raise data.row_length")])
    return fitting


def _least(own: Iterable[Shard], most: int, place: tuple[int, int]) -> list[tuple[Shard, np.ndarray]]:
    """The `most` documents of least hash: (shard, indices within it in order) of every shard that holds some."""
    own = tuple(own)
    hashes, which, index = np.zeros(0, np.uint64), np.zeros(0, np.int64), np.zeros(0, np.int64)
    for number, shard in enumerate(own):
        hashes = np.concatenate([hashes, mix(*place, shard.first + np.arange(shard.documents))])
        which = np.concatenate([which, np.full(shard.documents, number)])
        index = np.concatenate([index, np.arange(shard.documents)])
        least = np.argsort(hashes, kind="stable")[:most]
        hashes, which, index = hashes[least], which[least], index[least]
    return [(shard, np.sort(index[which == number])) for number, shard in enumerate(own) if (which == number).any()]


def _cut(
    manifest: Manifest, stream: Stream, shard: Shard, indices: np.ndarray, settings: StreamSettings, row_length: int
):
    """(number of the piece within its document, (document, start, stop)) of some documents of a shard."""
    if not settings.split_documents:
        return [(0, (int(index), 0, _WHOLE)) for index in indices]
    content = shards.lengths(manifest.directory, shard)[indices, MODALITIES.index("text")].astype(np.int64)
    tails = tail_length(content, shard.first + indices, "text")
    long = tails + packing.OVERHEAD + 1 > row_length  # not even its tail and one position fit
    refuse_if(
        Problem(
            f"{stream.name}: {shard.file} record {index}",
            f"a tail of {tail} positions",
            f"does not fit in a row of {row_length}",
            "raise data.row_length",
        )
        for index, tail in zip(indices[long], tails[long], strict=True)
        if not settings.drop_long
    )
    found = []
    for index, n, tail in zip(indices[~long], content[~long], tails[~long], strict=True):
        rows = packing.pack_split(np.array([n]), np.array([tail]), row_length)
        pieces = [(int(index), start, stop) for row in rows for _, start, stop in row]
        found += enumerate(pieces)
    return found


def _read(manifest: Manifest, stream: Stream, shard: Shard, wanted: Sequence) -> Iterable[Example]:
    indices = sorted({piece[0] for piece, _ in wanted})
    read = dict(zip(indices, shards.ShardReader(manifest.directory, shard).read(indices), strict=True))
    for (index, start, stop), number in wanted:
        document = read[index].content
        tails = {
            m: int(tail_length(document[m].size, shard.first + index, m)) for m in stream.modalities if m in document
        }
        content = document
        if stop != _WHOLE:
            content = {"text": document["text"][start:stop].copy()}  # a view would keep the whole document alive
            tails = {"text": tails["text"] if stop == document["text"].size else 0}
        yield Example(number, read[index].key, group_of(read[index]), content, tails)
