"""Examples as batches of few shapes: one compilation for each row length, and little padding.

Letters: B rows, L positions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from mdm.evaluation.documents import Example
from mdm.tokens.rows import Row, build_row, row_number, stack
from mdm.tokens.vocabulary import Vocabulary

MULTIPLE = 32  # row lengths are multiples of this, and of what the attention kernel wants
MOST_LENGTHS = 4  # compilations; a fifth saves under 3% of the positions when lengths are spread evenly


class ScoringBatch(NamedTuple):
    """examples: int64 [n], n <= B, which examples the first n rows hold; the rest are empty rows without a target.

    rows: `Row` with a leading B; number: uint32 [B, 2], the words of each example's number.
    """

    examples: np.ndarray
    rows: Row
    number: np.ndarray


def row_lengths(
    positions: Sequence[int], row_length: int, most: int = MOST_LENGTHS, multiple: int = 1
) -> tuple[int, ...]:
    """At most `most` row lengths, ascending, that lay examples of these `positions` out with the least padding.

    Each is a multiple of `MULTIPLE` and of `multiple`, or `row_length`; no example is longer than `row_length`. Exact, by dynamic
    programming over the distinct rounded lengths.
    """
    multiple = math.lcm(MULTIPLE, multiple)
    rounded = np.minimum(-(-np.asarray(positions) // multiple) * multiple, row_length)
    values, counts = np.unique(rounded, return_counts=True)
    below = np.concatenate([[0], np.cumsum(counts)])
    best = {0: (0, ())}  # distinct lengths that are served -> (positions laid out, lengths chosen)
    for _ in range(most):
        longer = dict(best)
        for served, (cost, chosen) in best.items():
            for stop in range(served + 1, len(values) + 1):
                total = cost + int((below[stop] - below[served]) * values[stop - 1])
                if stop not in longer or total < longer[stop][0]:
                    longer[stop] = (total, (*chosen, int(values[stop - 1])))
        best = longer
    return best[len(values)][1]


def batches(
    examples: Sequence[Example], task: str, vocabulary: Vocabulary, lengths: Sequence[int], batch_rows: int
) -> Iterator[ScoringBatch]:
    """Every example once, in batches of exactly `batch_rows` rows of one of `lengths`.

    The last batch of a length is filled up with empty rows: never dropped, never of another shape.
    """
    bucket = np.searchsorted(lengths, [example.positions for example in examples])
    for number, length in enumerate(lengths):
        own = np.flatnonzero(bucket == number)
        for start in range(0, len(own), batch_rows):
            part = own[start : start + batch_rows]
            empty = batch_rows - len(part)
            rows = [examples[i].row(task, vocabulary, length) for i in part]
            numbers = [examples[i].number for i in part] + [0] * empty
            rows += [build_row([], vocabulary, length)] * empty
            yield ScoringBatch(part, stack(rows), row_number(np.array(numbers, np.uint64)))
