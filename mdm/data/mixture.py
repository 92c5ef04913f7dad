"""The mixture: which stream row n of a run comes from.

A block holds a whole number of rows of each stream, in an order that is permuted block by block, so any whole number of
blocks has the exact ratio and a host that reads every k-th row sees no biased slice. Ratios may change at declared rows.

Everything is a pure function of (settings, n): no state, no seek.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from mdm.problems import Problem
from mdm.tokens.hashing import mix


@dataclasses.dataclass(frozen=True)
class Stage:
    """From data row `from_row` on, a block holds `rows[stream]` rows of each stream."""

    from_row: int
    rows: Mapping[str, int]

    @property
    def block(self) -> int:
        return sum(self.rows.values())


def problems(stages: tuple[Stage, ...], streams: tuple[str, ...], at: str) -> list[Problem]:
    """What is wrong with the stages of a mixture over `streams`."""
    found = []
    if not stages or stages[0].from_row != 0:
        found.append(
            Problem(
                at, [stage.from_row for stage in stages], "no stage begins at row 0", "give the first stage from_row 0"
            )
        )
    for number, stage in enumerate(stages):
        where = f"{at}[{number}]"
        for stream, rows in stage.rows.items():
            if stream not in streams:
                found.append(Problem(f"{where}.rows", stream, "is not a stream", f"use one of {streams}"))
            if not isinstance(rows, int) or rows < 0:
                found.append(
                    Problem(f"{where}.rows.{stream}", rows, "is not a whole number >= 0", "give rows per block")
                )
        if not any(isinstance(rows, int) and rows > 0 for rows in stage.rows.values()):
            found.append(
                Problem(f"{where}.rows", dict(stage.rows), "every weight is zero", "give at least one stream rows")
            )
    if found:
        return found
    for number, (before, after) in enumerate(zip(stages, stages[1:], strict=False), start=1):
        span = after.from_row - before.from_row
        if span <= 0 or span % before.block:
            found.append(
                Problem(
                    f"{at}[{number}].from_row",
                    after.from_row,
                    f"is not a whole number of blocks of {before.block} rows behind {before.from_row}",
                    f"use {before.from_row + max(1, round(span / before.block)) * before.block}",
                )
            )
    return found


@dataclasses.dataclass(frozen=True)
class Mixture:
    """Finds rows. streams: their names in the order of the integers that `locate` returns."""

    stages: tuple[Stage, ...]
    streams: tuple[str, ...]
    seed: int

    def locate(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """int64 [n] data rows -> (stream index int32 [n], ordinal within the stream int64 [n])."""
        rows = np.asarray(rows, np.int64)
        starts = np.array([stage.from_row for stage in self.stages])
        stage_of = np.searchsorted(starts, rows, side="right") - 1
        stream = np.zeros(rows.shape, np.int32)
        ordinal = np.zeros(rows.shape, np.int64)
        base = np.zeros(len(self.streams), np.int64)
        for number, stage in enumerate(self.stages):
            counts = np.array([stage.rows[name] if name in stage.rows else 0 for name in self.streams])
            own = stage_of == number
            if own.any():
                stream[own], ordinal[own] = self._in_stage(rows[own] - stage.from_row, number, counts, base)
            if number + 1 < len(self.stages):
                base = base + (starts[number + 1] - stage.from_row) // stage.block * counts
        return stream, ordinal

    def drawn(self, rows: int) -> np.ndarray:
        """int64 [streams]: how many of the first `rows` data rows are of each stream."""
        total = np.zeros(len(self.streams), np.int64)
        ends = [*(stage.from_row for stage in self.stages[1:]), rows]
        for stage, end in zip(self.stages, ends, strict=True):
            stop = min(int(end), rows)
            own = stop - stage.from_row
            if own <= 0:
                break
            counts = np.array([stage.rows[name] if name in stage.rows else 0 for name in self.streams])
            total += own // stage.block * counts
            begun = np.arange(stop - own % stage.block, stop)
            total += np.bincount(self.locate(begun)[0], minlength=len(self.streams))
        return total

    def _in_stage(self, offset: np.ndarray, stage: int, counts: np.ndarray, base: np.ndarray):
        size = int(counts.sum())
        block, slot = offset // size, offset % size
        members = np.repeat(
            np.arange(len(counts), dtype=np.int32), counts
        )  # the streams of a block, before permutation
        rank_in_stream = np.concatenate([np.arange(count) for count in counts])
        # Member order[b, j] of a block stands at slot j. Which of a stream's rows stands first does not matter, but it must
        # be one of each: the member's own rank is its ordinal in the block.
        blocks, inverse = np.unique(block, return_inverse=True)
        order = np.argsort(mix(self.seed, stage, blocks[:, None], np.arange(size)), axis=1, kind="stable")
        member = order[inverse, slot]
        return members[member], base[members[member]] + block * counts[members[member]] + rank_in_stream[member]


def permute(index: np.ndarray, length: int, *key: int) -> np.ndarray:
    """A permutation of 0..length-1 chosen by `key`, evaluated at `index`, in O(1) memory.

    A Feistel network on the next even number of bits, walked until it lands inside (cycle walking; at most 4 expected).
    """
    bits = max(2, int(length - 1).bit_length())
    half = (bits + 1) // 2
    low = np.uint64((1 << half) - 1)
    value = np.asarray(index).astype(np.uint64)
    rounds = [mix(*key, number) for number in range(4)]
    outside = np.ones(value.shape, bool)
    while outside.any():
        left, right = value[outside] >> np.uint64(half), value[outside] & low
        for state in rounds:
            left, right = right, left ^ (mix(right, state=state) & low)
        value[outside] = (left << np.uint64(half)) | right
        outside = value >= np.uint64(length)
    return value.astype(np.int64)
