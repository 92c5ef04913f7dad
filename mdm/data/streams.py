"""A stream: the packed rows of one kind of document, by ordinal, for ever."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from absl import logging

from mdm.data.manifest import FILE, Manifest, Shard
from mdm.data.mixture import permute
from mdm.data.opened import Opened
from mdm.data.packing import Manner, Plan
from mdm.data.plans import PlanFolder
from mdm.data.shards import ShardReader
from mdm.problems import Problem, Refusal, refuse_if
from mdm.tokens.hashing import text_key, uniform
from mdm.tokens.rows import Document, Segment, tail_length
from mdm.tokens.tasks import TASKS

# Ordinals that are permuted together: a call costs as much for a few as for many, and batches come in order.
_BLOCK = 2048


@dataclasses.dataclass(frozen=True)
class StreamSettings:
    """tasks: task -> probability of being drawn for a document (normalised); split_documents: whether a document may be cut
    and spread over rows (prose), or must stay whole (pairs); drop_long: whether documents that do not fit a row are left out
    and counted, or refused."""

    tasks: Mapping[str, float]
    split_documents: bool = False
    drop_long: bool = False

    @property
    def drawn(self) -> tuple[str, ...]:
        """Tasks that are drawn at all: those with a share above zero."""
        return tuple(task for task, share in self.tasks.items() if share > 0)

    def manner(self, row_length: int) -> Manner:
        """How its documents are packed into rows."""
        return Manner(row_length, self.split_documents, self.drop_long)

    def problems(self, at: str) -> list[Problem]:
        found = []
        for task, share in self.tasks.items():
            if task not in TASKS:
                found.append(Problem(f"{at}.tasks", task, "is not a task", f"use one of {tuple(TASKS)}"))
            if not 0 <= share < float("inf"):
                found.append(Problem(f"{at}.tasks.{task}", share, "is not a probability", "give a number >= 0"))
        if not self.drawn:
            found.append(Problem(f"{at}.tasks", dict(self.tasks), "no task has a share above zero", "give one"))
        kinds = {TASKS[task].modalities for task in self.tasks if task in TASKS}
        if len(kinds) > 1:
            found.append(
                Problem(f"{at}.tasks", tuple(self.tasks), "span different modalities", "use one stream for each kind")
            )
        if self.split_documents and kinds and kinds != {frozenset({"text"})}:
            found.append(Problem(f"{at}.split_documents", True, "only text can be split", "set it to False"))
        return found


def misfits(name: str, manifest: Manifest, settings: StreamSettings) -> list[Problem]:
    """What keeps a stream of a config from the data set."""
    if name not in manifest.streams:
        return [_missing(name, manifest)]
    held, wanted = manifest.streams[name].modalities, TASKS[next(iter(settings.tasks))].modalities
    if wanted == set(held):
        return []
    reason, remedy = f"its documents hold {held}, not {tuple(sorted(wanted))}", "give it tasks over what it holds"
    return [Problem(f"data.streams.{name}.tasks", tuple(settings.tasks), reason, remedy)]


def _missing(name: str, manifest: Manifest) -> Problem:
    where, reason, remedy = f"data.streams.{name}", "is not in the data set", f"it has {tuple(manifest.streams)}"
    written = [own for own in manifest.streams if own.replace("_", "-") == name]
    if written:  # of an earlier version, which took the stream of a source as it was written
        reason += f", which has it as {written[0]}: no config can name that"
        remedy = f"prepare it again, in another folder, or call it {name} in {manifest.directory / FILE} (key and name)"
    return Problem(where, None, reason, remedy)


class Stream:
    """Row `ordinal` of a stream is a pure function of (settings, manifest, seed, ordinal).

    Each pass over the stream's packed rows is a new permutation of them, and draws its tasks anew.
    """

    def __init__(
        self,
        name: str,
        manifest: Manifest,
        settings: StreamSettings,
        row_length: int,
        seed: int,
        split: str = "train",
        most_open: int = 64,
    ):
        """most_open: shards whose files are open at once."""
        refuse_if(misfits(name, manifest, settings))
        self.name, self._settings = name, settings
        self._stream = manifest.streams[name]
        self._seed = (seed, text_key(name))
        self._shards = self._stream.shards[split]
        self._plans = PlanFolder(manifest.directory, self._stream, settings.manner(row_length))
        rows, self.fill, self.dropped = self._plans.rows_and_fill(split)
        self._first_row = np.concatenate([[0], np.cumsum(rows)])
        if not self.rows:
            found = (
                f"holds no documents but {self.dropped} that do not fit a row" if self.dropped else "holds no documents"
            )
            raise Refusal(Problem(f"data.streams.{name}", split, found, "prepare some, or take the stream out"))
        if self.dropped:
            every = sum(shard.documents for shard in self._shards)
            told = "%s %s: %d of %d documents do not fit a row of %d and are left out (data.streams.%s.drop_long)"
            logging.warning(told, name, split, self.dropped, every, row_length, name)
        self._opened = Opened(functools.partial(_open, self._plans, manifest.directory, self._shards), most_open)
        self._tasks = settings.drawn
        shares = np.array([settings.tasks[task] for task in self._tasks], float)
        self._cumulative = np.cumsum(shares) / shares.sum()

    @property
    def rows(self) -> int:
        """Rows of one pass."""
        return int(self._first_row[-1])

    @property
    def documents(self) -> int:
        """Documents of one pass."""
        return sum(shard.documents for shard in self._shards) - self.dropped

    def segments(self, ordinals: np.ndarray) -> list[list[Segment]]:
        """What is laid out in each of the rows `ordinals`, int64 [n]. Many at once cost far less than one by one: numbers are
        hashed together, and a shard is asked once."""
        ordinals = np.asarray(ordinals, np.int64)
        shards, rows = self._places(ordinals)
        found: list[list[Segment]] = [[] for _ in rows]
        for shard in np.unique(shards).tolist():
            plan, reader = self._opened[shard]
            own = np.flatnonzero(shards == shard)
            starts, stops = plan.rows[rows[own]], plan.rows[rows[own] + 1]
            counts = stops - starts
            within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)  # of each piece in its row
            pieces = np.asarray(plan.pieces[np.repeat(starts, counts) + within])
            place = np.repeat(own, counts)
            draws = uniform(*self._seed, ordinals[place], 1 + within)
            tasks = np.searchsorted(self._cumulative, draws, side="right")
            documents = [stored.content for stored in reader.read(pieces[:, 0].tolist())]
            tails = self._tails(documents, self._shards[shard].first + pieces[:, 0])
            for at, document, piece, task, tail in zip(
                place.tolist(), documents, pieces.tolist(), tasks.tolist(), tails, strict=True
            ):
                found[at].append(self._segment(document, piece[1], piece[2], tail, self._tasks[task]))
        return found

    def _places(self, ordinals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(shard, row of its plan) of each ordinal."""
        blocks, within = np.divmod(ordinals, _BLOCK)
        packed = np.empty_like(ordinals)
        for block in np.unique(blocks).tolist():
            own = blocks == block
            packed[own] = self._order(block)[within[own]]
        shards = np.searchsorted(self._first_row, packed, side="right") - 1
        return shards, packed - self._first_row[shards]

    @functools.lru_cache(maxsize=16)  # noqa: B019 - a stream lives as long as the process
    def _order(self, block: int) -> np.ndarray:
        """int64 [_BLOCK]: the packed row of each ordinal of a block."""
        epochs, index = np.divmod(block * _BLOCK + np.arange(_BLOCK), self.rows)
        packed = np.empty_like(index)
        for epoch in np.unique(epochs).tolist():
            own = epochs == epoch
            packed[own] = permute(index[own], self.rows, *self._seed, epoch)
        return packed

    def _tails(self, documents: Sequence[Document], numbers: np.ndarray) -> list[dict[str, int]]:
        """ENDs behind each modality of each document."""
        found: list[dict[str, int]] = [{} for _ in documents]
        for modality in self._stream.modalities:
            sizes = np.array([document[modality].size for document in documents])
            for own, tail in zip(found, tail_length(sizes, numbers, modality).tolist(), strict=True):
                own[modality] = tail
        return found

    def _segment(self, document: Document, start: int, stop: int, tails: dict[str, int], task: str) -> Segment:
        if self._settings.split_documents:
            whole = document["text"].size
            document = {"text": document["text"][start:stop]}
            tails = {"text": tails["text"] if stop == whole else 0}
        return Segment(document, TASKS[task], tails)


def _open(plans: PlanFolder, directory: Path, shards: Sequence[Shard], number: int) -> tuple[Plan, ShardReader]:
    return plans.plan(shards[number]), ShardReader(directory, shards[number])
