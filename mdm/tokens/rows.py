"""Rows: documents laid out as segments in a fixed number of positions.

The one place where a document becomes positions, for training, evaluation and generation alike. A segment is

    [task] ( [begin modality] content END-tail? )*      for each span of its task

Positions have three axes (time, row, column). Text and audio repeat their time on all three; a picture keeps the time at
which it starts on the first axis and adds it to its rows and columns on the others (the M-RoPE arrangement, Wang et al.
2024), so that text alone sees an ordinary one-dimensional RoPE. Every segment starts at time 0.

Letters: L positions of a row, n content positions of a span.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from mdm.problems import Problem, Refusal
from mdm.tokens.hashing import text_key, uniform
from mdm.tokens.tasks import TASK_NAMES, Task
from mdm.tokens.vocabulary import ENDING, NO_RANGE, Vocabulary, begin, task_token

FIXED, CONDITION, TARGET = 0, 1, 2  # the role of a position: never masked; given (masked only when dropped); restored

TAIL_EXTRA = 4  # a tail is 1 to 1 + TAIL_EXTRA + TAIL_SLACK * n ENDs long: the model sees spans that end well before
TAIL_SLACK = 0.25  # their canvas does, so that at generation a canvas may be up to about a quarter too long;
TAIL_MOST = 64  # but the slack of a long text is bounded: nobody lays out a quarter of a chapter as END

Document = Mapping[str, np.ndarray]
"""Codes by modality: text [n], image [rows, columns], audio [frames, codebooks]."""


class Row(NamedTuple):
    """One row, or a batch of rows with a leading B. All arrays are indexed by position.

    ids:       int32 [L], clean tokens
    segments:  int32 [L], 0 is padding, segments count from 1
    positions: int32 [L, 3], (time, row, column)
    ranges:    int8 [L], index of the output range; NO_RANGE for padding and special tokens
    roles:     int8 [L], FIXED, CONDITION or TARGET
    tasks:     int8 [L], index into TASK_NAMES; -1 for padding
    """

    ids: np.ndarray
    segments: np.ndarray
    positions: np.ndarray
    ranges: np.ndarray
    roles: np.ndarray
    tasks: np.ndarray


class Segment(NamedTuple):
    """What is to be laid out: a document under a task, and how many ENDs follow the content of each modality."""

    document: Document
    task: Task
    tails: Mapping[str, int]


def tail_length(n: int | np.ndarray, document: int | np.ndarray, modality: str) -> np.ndarray:
    """How many ENDs follow `n` content positions of `modality` in document number `document`.

    Deterministic, so that a packing plan can count them. 0 for a modality of fixed length.
    """
    if modality not in ENDING:
        return np.zeros_like(np.asarray(n))
    slack = np.floor(np.minimum(TAIL_SLACK * np.asarray(n), TAIL_MOST)) + TAIL_EXTRA + 1
    return (1 + np.floor(uniform(document, text_key(modality)) * slack)).astype(np.int64)


def segment_length(content: Mapping[str, int | np.ndarray], tails: Mapping[str, int | np.ndarray]) -> int | np.ndarray:
    """Positions of a document with `content` content positions and `tails` ENDs by modality, whatever its task."""
    return 1 + sum(1 + content[modality] + tails[modality] for modality in content)


@functools.lru_cache(maxsize=256)
def _grid(rows: int, columns: int) -> np.ndarray:
    """int32 [rows * columns, 3]: (0, row, column) in reading order."""
    grid = np.zeros((rows, columns, 3), np.int32)
    grid[..., 1], grid[..., 2] = np.mgrid[:rows, :columns]
    return grid.reshape(-1, 3)


def blank(vocabulary: Vocabulary, *shape: int) -> Row:
    """Rows of nothing but padding. shape: L, or B and L."""
    return Row(
        ids=np.full(shape, vocabulary.pad, np.int32),
        segments=np.zeros(shape, np.int32),
        positions=np.zeros((*shape, 3), np.int32),
        ranges=np.full(shape, NO_RANGE, np.int8),
        roles=np.zeros(shape, np.int8),
        tasks=np.full(shape, -1, np.int8),
    )


def lay_out(row: Row, segments: Sequence[Segment], vocabulary: Vocabulary) -> None:
    """Writes `segments` into a blank row, one after another; the rest stays padding.

    Raises Refusal if they do not fit, if a code lies outside its codebook, or if a modality of a task has no codec or is
    missing from its document.
    """
    start = 0
    for number, segment in enumerate(segments, start=1):
        stop = _write_segment(row, start, segment, vocabulary)
        row.segments[start:stop] = number
        row.tasks[start:stop] = TASK_NAMES.index(segment.task.name)
        start = stop


def build_row(segments: Sequence[Segment], vocabulary: Vocabulary, length: int) -> Row:
    """`segments` in a row of `length` positions, see `lay_out`."""
    row = blank(vocabulary, length)
    lay_out(row, segments, vocabulary)
    return row


def _write_segment(row: Row, start: int, segment: Segment, vocabulary: Vocabulary) -> int:
    missing = [span.modality for span in segment.task.spans if span.modality not in segment.document]
    if missing:
        raise Refusal(
            Problem(
                "document",
                tuple(segment.document),
                f"lacks {missing} of task {segment.task.name}",
                "give its stream tasks over what it holds",
            )
        )
    content = {span.modality: segment.document[span.modality].size for span in segment.task.spans}
    stop = start + segment_length(content, {m: segment.tails[m] if m in segment.tails else 0 for m in content})
    if stop > len(row.ids):
        raise Refusal(
            Problem(
                "document",
                f"{stop - start} positions",
                f"does not fit in the {len(row.ids) - start} positions left of a row",
                "raise the row length, shorten the document, or allow its stream to be split",
            )
        )
    at, time = start, 0
    row.ids[at] = vocabulary.special(task_token(segment.task.name))
    for span in segment.task.spans:
        at, time = at + 1, time + 1
        row.ids[at] = vocabulary.special(begin(span.modality))
        row.positions[at] = time
        tail = segment.tails[span.modality] if span.modality in segment.tails else 0
        at, time = _write_span(
            row, at, time, span.modality, segment.document[span.modality], tail, span.target, vocabulary
        )
    return at + 1


def _write_span(
    row: Row, at: int, time: int, modality: str, codes: np.ndarray, tail: int, target: bool, vocabulary: Vocabulary
) -> tuple[int, int]:
    """Writes content and tail behind position `at` (the begin token, at `time`); returns the last position and time."""
    numbers = vocabulary.ranges_of(modality)
    if not numbers:
        raise Refusal(Problem("vocabulary", modality, "has no codec for this modality", "prepare the data with one"))
    n = codes.size
    first, last = at + 1, at + 1 + n + tail
    if modality == "image":
        row.positions[first : first + n] = _grid(*codes.shape) + np.int32(time + 1)
        row.positions[first : first + n, 0] = time + 1
        elapsed = max(codes.shape)
    else:
        row.positions[first:last] = np.arange(time + 1, time + 1 + n + tail, dtype=np.int32)[:, None]
        elapsed = n + tail
    flat = codes.reshape(-1)
    for book, number in enumerate(numbers):
        output_range = vocabulary.ranges[number]
        own = slice(first + book, last, len(numbers))
        part = flat[book :: len(numbers)]
        if part.size and not (part.min() >= 0 and part.max() < output_range.symbols):
            raise Refusal(
                Problem(
                    f"codes of {output_range.name}",
                    int(part.min() if part.min() < 0 else part.max()),
                    f"outside its codebook of {output_range.symbols}",
                    "the document was written with another codec: prepare the data again",
                )
            )
        if tail:
            row.ids[own] = output_range.end
        # int32 first: codes of a narrow type would wrap
        row.ids[first + book : first + n : len(numbers)] = part.astype(np.int32) + output_range.start
        row.ranges[own] = number
    row.roles[first:last] = TARGET if target else CONDITION
    return last - 1, time + elapsed


def stack(rows: Sequence[Row]) -> Row:
    """Rows of one length as one batch: every array gains a leading B."""
    return Row(*(np.stack(arrays) for arrays in zip(*rows, strict=True)))


def content_of(row: Row, ids: np.ndarray, segment: int, modality: str, vocabulary: Vocabulary) -> np.ndarray:
    """The codes of `modality` in `segment` of one row, read back from `ids` [L] up to the first END, flat.

    With several codebooks a frame counts only if all of its codes are there.
    """
    numbers = vocabulary.ranges_of(modality)
    books = []
    for number in numbers:
        output_range = vocabulary.ranges[number]
        codes = ids[(row.segments == segment) & (row.ranges == number)] - output_range.start
        ends = np.flatnonzero(codes >= output_range.symbols)
        books.append(codes[: ends[0]] if ends.size else codes)
    frames = min(len(book) for book in books)
    return np.stack([book[:frames] for book in books], axis=1).reshape(-1).astype(np.int32)


class Batch(NamedTuple):
    """Rows of a run, and where in the run each of them stands: noise is a pure function of these numbers and the seed.

    rows:    `Row` with a leading B
    number:  uint32 [B, 2], (high, low) word of the global number of the row in the run
    stream:  int32 [B], index of the stream that the row came from
    ordinal: uint32 [B], how many data rows of that stream came before it (modulo 2**32); both views of a complementary
             pair have the same
    """

    rows: Row
    number: np.ndarray
    stream: np.ndarray
    ordinal: np.ndarray


def row_number(numbers: np.ndarray) -> np.ndarray:
    """Global row numbers (int64 [B]) as the uint32 [B, 2] words that `Batch.number` holds."""
    numbers = np.asarray(numbers).astype(np.uint64)
    return np.stack([numbers >> np.uint64(32), numbers & np.uint64(0xFFFFFFFF)], axis=-1).astype(np.uint32)
