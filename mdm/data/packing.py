"""The packing plan: which pieces of which documents stand in which row of a shard.

Made once for a shard and a row length, from the documents' lengths alone. It gives a packed stream random access: row i of
a shard is the pieces `rows[i]:rows[i+1]` of the plan, whatever was read before.

A stream whose documents may be split (prose) is cut so that rows fill up; other documents stay whole.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from mdm.data import shards
from mdm.data.manifest import Shard, Stream
from mdm.problems import Problem, refuse_if
from mdm.tokens.rows import segment_length, tail_length
from mdm.tokens.vocabulary import MODALITIES

VERSION = 1  # part of the file name: a plan of another version is made anew
LEAST_PIECE = 16  # content positions: a shorter rest of a row is left as padding rather than filled with a scrap
OVERHEAD = 2  # a piece of text costs a task token and a begin token


@dataclasses.dataclass(frozen=True)
class Plan:
    """pieces: int32 [P, 3], (document in the shard, start, stop) of content; stop counts the content, without the tail.
    rows: int64 [rows + 1], where each row's pieces begin. filled: positions used, summed over rows."""

    pieces: np.ndarray
    rows: np.ndarray
    filled: int

    @property
    def count(self) -> int:
        return len(self.rows) - 1


def pack_whole(lengths: np.ndarray, row_length: int) -> list[list[int]]:
    """Documents of `lengths` positions, by index, in rows of `row_length`; no document is longer than a row.

    Each row takes the longest document that is left and then the set of others that fills it best: a subset sum over the
    lengths that are left, as a bit set in one integer (bit s: s positions can be filled). Best fit, the usual choice, leaves
    a tenth of a row empty when documents are all about a sixth of a row long (0.90 against 0.99 for pairs of 70 to 95 in
    rows of 512). About 10 us a document.
    """
    left: dict[int, list[int]] = {}
    for document in np.argsort(lengths, kind="stable")[::-1].tolist():
        left.setdefault(int(lengths[document]), []).append(document)  # lengths from long to short
    rows, mask = [], (1 << (row_length + 1)) - 1
    while left:
        longest = next(iter(left))
        reachable, taken = 1 << longest, []
        for length, documents in left.items():
            for _ in range(min(len(documents) - (length == longest), (row_length - longest) // length)):
                wider = (reachable | reachable << length) & mask
                if wider == reachable:
                    break
                taken.append((length, reachable))
                reachable = wider
            if reachable >> row_length:
                break
        total, row = reachable.bit_length() - 1, [left[longest].pop()]
        for length, without in reversed(taken):
            if not without >> total & 1:
                row.append(left[length].pop())
                total -= length
        rows.append(row)
        left = {length: documents for length, documents in left.items() if documents}
    return rows


def pack_split(content: np.ndarray, tails: np.ndarray, row_length: int) -> list[list[tuple[int, int, int]]]:
    """Documents of `content` positions and `tails`, in order, as (document, start, stop) pieces that fill rows.

    Only the last piece of a document carries its tail. A rest of fewer than LEAST_PIECE positions stays empty.
    """
    rows: list[list[tuple[int, int, int]]] = []
    left = 0
    for document, (n, tail) in enumerate(zip(content.tolist(), tails.tolist(), strict=True)):
        start = 0
        while start < n:
            if left < OVERHEAD + min(LEAST_PIECE, n - start + tail):
                rows.append([])
                left = row_length
            if n - start + tail <= left - OVERHEAD:
                stop, used = n, OVERHEAD + n - start + tail
            else:
                # A tail is never cut off from its text: at least one position of the text goes with it.
                stop = min(start + left - OVERHEAD, n - 1)
                used = OVERHEAD + stop - start
                if stop == start:
                    left = 0
                    continue
            rows[-1].append((document, start, stop))
            start, left = stop, left - used
    return rows


@dataclasses.dataclass(frozen=True)
class Manner:
    """How a stream is packed: `split` documents or whole ones; `drop` those that do not fit a row, or refuse them."""

    row_length: int
    split: bool
    drop: bool = False

    @property
    def name(self) -> str:
        """Of the folder of its plans."""
        kind = ("split" if self.split else "whole") + ("-drop" if self.drop else "")
        return f"L{self.row_length}-v{VERSION}-{kind}"


def _measured(directory: Path, stream: Stream, shard: Shard, split: bool) -> tuple[dict, dict, np.ndarray]:
    """(content, tails: modality -> int64 [documents]; int64 [documents], the least row that each document fits)."""
    lengths = shards.lengths(directory, shard)
    numbers = shard.first + np.arange(shard.documents)
    content = {m: lengths[:, MODALITIES.index(m)].astype(np.int64) for m in stream.modalities}
    tails = {m: tail_length(content[m], numbers, m) for m in stream.modalities}
    return content, tails, tails["text"] + OVERHEAD + 1 if split else segment_length(content, tails)


def too_long(directory: Path, stream: Stream, manner: Manner, split: str = "train") -> tuple[int, int]:
    """(how many documents of a split do not fit a row, the least row that all of them fit)."""
    count = longest = 0
    for shard in stream.shards[split]:
        _, _, least = _measured(directory, stream, shard, manner.split)
        count += int((least > manner.row_length).sum())
        longest = max(longest, int(least.max(initial=0)))
    return count, longest


def make(directory: Path, stream: Stream, shard: Shard, manner: Manner) -> Plan:
    """Packs one shard. Raises Refusal naming the documents that do not fit a row, unless they are dropped."""
    content, tails, least = _measured(directory, stream, shard, manner.split)
    fits = least <= manner.row_length
    if not manner.drop:
        _refuse_long(shard, least, manner)
    if manner.split:
        rows = pack_split(np.where(fits, content["text"], 0), tails["text"], manner.row_length)
        filled = sum(OVERHEAD + stop - start for row in rows for _, start, stop in row) + int(tails["text"][fits].sum())
    else:
        kept = np.flatnonzero(fits)
        packed = pack_whole(least[kept], manner.row_length)
        rows = [[(int(kept[document]), 0, -1) for document in row] for row in packed]
        filled = int(least[kept].sum())
    pieces = np.array([piece for row in rows for piece in row], np.int32).reshape(-1, 3)
    starts = np.concatenate([[0], np.cumsum([len(row) for row in rows], dtype=np.int64)])
    return Plan(pieces, starts.astype(np.int64), filled)


def _refuse_long(shard: Shard, least: np.ndarray, manner: Manner) -> None:
    reason, remedy = f"longer than a row of {manner.row_length}", "shorten the document, let its stream split documents"
    if manner.split:  # its text can be cut, but the ENDs behind it stay together
        reason = f"for its tail of ENDs and one position of text, more than a row of {manner.row_length}"
        remedy = "cutting its text does not help"
    remedy = f"raise data.row_length, {remedy}, or let its stream drop it (drop_long)"
    refuse_if(
        Problem(f"{shard.file} record {index}", f"{least[index]} positions", reason, remedy)
        for index in np.flatnonzero(least > manner.row_length)[:20]
    )
