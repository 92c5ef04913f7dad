"""Folders of packing plans, kept beside a data set and made by whoever needs them first: `mdm.prepare` on its engine, or a start.

`STREAM.json` holds rows and filled positions of every shard, with the shard's digest, so that opening a stream of thousands of
shards reads one small file; the plans themselves are mapped when a row of theirs is first asked for. As long as that file is not
written, a line of it lies beside each plan that is whole: who is interrupted keeps what was made, and several may share the work.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from absl import logging

from mdm import atomic
from mdm.data import packing
from mdm.data.engine import Engine
from mdm.data.manifest import Manifest, Shard, Stream
from mdm.data.packing import Manner, Plan
from mdm.exits import Ending
from mdm.problems import Problem, Refusal

_LINE = ".line.json"  # ending of a line of the index to be
_REPORT_SECONDS = 15


class PlanFolder:
    """The plans of one stream, packed in one manner, below the folder of its data set. One that cannot be written is no error:
    every start then makes its plans anew."""

    def __init__(self, directory: Path, stream: Stream, manner: Manner):
        self._directory, self._stream, self._manner = directory, stream, manner
        self._folder = directory / "plans" / manner.name

    def rows_and_fill(self, split: str) -> tuple[np.ndarray, float, int]:
        """int64 [shards], rows of each shard of a split; the share of their positions that is not padding; documents dropped.
        Raises Refusal naming documents that do not fit a row, unless they are dropped."""
        index, shards = self._index(), self._stream.shards[split]
        if self._without(split, index):
            index |= self._completed(split, index)
            with contextlib.suppress(OSError):
                atomic.write_text(self._folder / f"{self._stream.name}.json", json.dumps(index), shared=True)
                for shard in shards:
                    self._line(shard).unlink(missing_ok=True)
        own = [index[shard.file] for shard in shards]
        rows = np.array([line["rows"] for line in own], np.int64)
        dropped = sum(line["dropped"] for line in own) if self._manner.drop else 0
        return rows, sum(line["filled"] for line in own) / max(1, int(rows.sum()) * self._manner.row_length), dropped

    def missing(self, split: str) -> list[Shard]:
        """Shards of a split whose plans are still to be made."""
        index = self._index()
        return self._without(split, index | self._lines(split, index))

    def make(self, shard: Shard) -> dict:
        """Makes and keeps the plan of one shard; its line of the index. Raises Refusal as `packing.make` does."""
        plan = packing.make(self._directory, self._stream, shard, self._manner)
        line = {"sha256": shard.sha256, "rows": plan.count, "filled": plan.filled}
        if self._manner.drop:
            line["dropped"] = shard.documents - len(np.unique(plan.pieces[:, 0]))
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            for file, array in zip(self._files(shard), (plan.pieces, np.append(plan.rows, plan.filled)), strict=True):
                with atomic.replacing(file, shared=True) as temporary, open(temporary, "wb") as writer:
                    np.save(writer, array)
            atomic.write_text(self._line(shard), json.dumps(line), shared=True)
        return line

    def plan(self, shard: Shard) -> Plan:
        """The plan of one shard, mapped from disk where it is there."""
        pieces, rows = self._files(shard)
        try:
            rows = np.load(rows, mmap_mode="r", allow_pickle=False)
            return Plan(np.load(pieces, mmap_mode="r", allow_pickle=False), rows[:-1], int(rows[-1]))
        except (OSError, ValueError):
            return packing.make(self._directory, self._stream, shard, self._manner)

    def kept(self) -> int:
        """How many plans lie here that no index tells of yet."""
        return sum(1 for _ in self._folder.glob(f"*{_LINE}"))

    def check_writable(self) -> None:
        """Raises OSError if nothing can be kept here."""
        self._folder.mkdir(parents=True, exist_ok=True)
        if not os.access(self._folder, os.W_OK):
            raise PermissionError(f"{self._folder} cannot be written")

    def _completed(self, split: str, index: Mapping[str, dict]) -> dict[str, dict]:
        """Lines of the shards of a split that `index` does not tell of, as they were kept or made now."""
        lines = self._lines(split, index)
        missing = self._without(split, {**index, **lines})
        told = len(missing), self._stream.name, self._manner.row_length
        for made, shard in enumerate(missing):
            logging.log_every_n_seconds(
                logging.INFO, "packed %d of %d shards of %s into rows of %d", _REPORT_SECONDS, made, *told
            )
            try:
                lines[shard.file] = self.make(shard)
            except Refusal as refusal:
                raise self._too_long(split, refusal) from refusal
        if missing:
            logging.info("packed %d shards of %s into rows of %d", *told)
        return lines

    def _too_long(self, split: str, refusal: Refusal) -> Refusal:
        """Told for the whole split, since the next shard may hold a longer one."""
        count, least = packing.too_long(self._directory, self._stream, self._manner, split)
        name, every = self._stream.name, self._stream.documents(split)
        reason = f"of {every} documents do not fit a row of {self._manner.row_length}"
        remedy = f"raise data.row_length to {least}, or leave them out with data.streams.{name}.drop_long=True"
        return Refusal([Problem(f"stream {name} {split}", count, reason, remedy), *refusal.problems])

    def _index(self) -> dict[str, dict]:
        return _read(self._folder / f"{self._stream.name}.json")

    def _lines(self, split: str, index: Mapping[str, dict]) -> dict[str, dict]:
        """Those that lie beside plans of shards that `index` does not tell of."""
        there = {path.name for path in self._folder.glob(f"*{_LINE}")}  # one look: a start may miss thousands
        wanted = self._without(split, index)
        lines = {shard.file: _read(self._line(shard)) for shard in wanted if self._line(shard).name in there}
        return {shard.file: lines[shard.file] for shard in wanted if _of(shard, lines)}

    def _without(self, split: str, lines: Mapping[str, dict]) -> list[Shard]:
        """Shards of a split that `lines` do not tell of."""
        return [shard for shard in self._stream.shards[split] if not _of(shard, lines)]

    def _line(self, shard: Shard) -> Path:
        return self._folder / f"{shard.stem}{_LINE}"

    def _files(self, shard: Shard) -> tuple[Path, Path]:
        return self._folder / f"{shard.stem}.pieces.npy", self._folder / f"{shard.stem}.rows.npy"


def _read(path: Path) -> dict:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _of(shard: Shard, lines: Mapping[str, dict]) -> bool:
    """Whether there is a line of this very shard, not of another one under its name."""
    return shard.file in lines and bool(lines[shard.file]) and lines[shard.file]["sha256"] == shard.sha256


@dataclasses.dataclass(frozen=True)
class _Task:
    """One plan that a worker makes. stream: without its shards."""

    stream: Stream
    manner: Manner
    shard: Shard


def make_all(manifest: Manifest, manners: Mapping[str, Manner], engine: Engine, split: str = "train") -> None:
    """Makes on an engine all plans that are missing of streams, each packed in its manner. What is there is not made again."""
    folders = {name: PlanFolder(manifest.directory, manifest.streams[name], own) for name, own in manners.items()}
    missing = {name: folder.missing(split) for name, folder in folders.items()}
    bare = {name: dataclasses.replace(manifest.streams[name], shards={}, content={}) for name in folders}
    tasks = [_Task(bare[name], manners[name], shard) for name, own in missing.items() for shard in own]
    try:
        for name, own in missing.items():
            if own:
                folders[name].check_writable()
    except OSError as error:
        logging.warning("packing plans cannot be kept, so that every start makes them anew: %s", error)
        return
    different = {
        own.name: folders[name] for name, own in manners.items()
    }.values()  # streams of one manner share a folder
    before = sum(folder.kept() for folder in different)

    def progress() -> str:
        return f"packed {sum(folder.kept() for folder in different) - before} of {len(tasks)} shards into rows"

    if tasks and engine.available:  # else they are made below, one by one
        engine.run(tasks, functools.partial(_make, manifest.directory), progress=progress)
    for folder in folders.values():
        folder.rows_and_fill(split)


def _make(directory: Path, task: _Task) -> None:
    with contextlib.suppress(Ending):  # whoever waits tries what is still missing, and is told why
        PlanFolder(directory, task.stream, task.manner).make(task.shard)
