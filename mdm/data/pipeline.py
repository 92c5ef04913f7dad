"""From a prepared data set to global batches: row n of a run is a pure function of (settings, manifest, n).

Who reads what: a batch of B rows at run row n holds rows n..n+B-1; a host reads those of which its devices hold a part (the
mesh says which, `training.sharding.rows_read`). Batch, mesh and hosts are no part of what a row holds, so any of them may
change between two starts. The whole state is one counter of rows, kept with a fingerprint of everything that decided what the
numbers below it meant.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import grain
import numpy as np

from mdm.data import manifest as manifests
from mdm.data import mixture, opened, packing
from mdm.data.manifest import Manifest
from mdm.data.mixture import Mixture, Stage
from mdm.data.streams import Stream, StreamSettings
from mdm.fingerprint import fingerprint
from mdm.problems import Problem, Refusal
from mdm.tokens.rows import Batch, Row, Segment, blank, lay_out, row_number
from mdm.tokens.vocabulary import Vocabulary

_NO_END = 2**62  # grain asks for a length; a run is stopped by its token budget, not by its data


@dataclasses.dataclass(frozen=True)
class DataSettings:
    """directory: a data set written by `prepare`, local or mounted; stages: rows per block of each stream, see `mixture.Stage`.

    codebooks: sizes by modality that the data set must have (empty: whatever it has). With them a job is proven before its
    data are there (`mdm.preflight`)
    workers: processes that build rows (0: threads of this process); prefetch: batches kept ready.
    """

    directory: str
    row_length: int
    streams: Mapping[str, StreamSettings]
    stages: tuple[Stage, ...]
    codebooks: Mapping[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)
    seed: int = 0
    workers: int = 0
    prefetch: int = 4

    def problems(self, at: str) -> list[Problem]:
        found = manifests.mounted(self.directory, f"{at}.directory")
        if self.row_length < 16:
            found.append(Problem(f"{at}.row_length", self.row_length, "too short for any document", "use 16 or more"))
        if not self.streams:
            found.append(Problem(f"{at}.streams", None, "there is none", "name at least one stream"))
        for key, least in (("workers", 0), ("prefetch", 1)):
            if getattr(self, key) < least:
                found.append(Problem(f"{at}.{key}", getattr(self, key), f"below {least}", f"use {least} or more"))
        for name, stream in self.streams.items():
            found += stream.problems(f"{at}.streams.{name}")
        if self.codebooks:
            try:
                Vocabulary.of(self.codebooks)
            except Refusal as refusal:
                found += [dataclasses.replace(p, where=f"{at}.{p.where}") for p in refusal.problems]
        return found + mixture.problems(self.stages, tuple(self.streams), f"{at}.stages")


class Rows:
    """All rows of a run, by number. Opens every stream of the mixture at once, so a missing one is found before training."""

    def __init__(self, settings: DataSettings, views: int = 1, manifest: Manifest | None = None):
        self.manifest = manifests.load(settings.directory) if manifest is None else manifest
        self.settings, self._views = settings, views
        if settings.codebooks and Vocabulary.of(settings.codebooks).ranges != self.manifest.vocabulary.ranges:
            found = {r.name: r.symbols for r in self.manifest.vocabulary.ranges}
            raise Refusal(Problem("data.codebooks", dict(settings.codebooks), f"the data set in {settings.directory} has {found}",
                                  "name the codebooks of its codecs, or prepare it with others"))  # fmt: skip
        most = opened.most_shards(len(settings.streams))
        self.streams = tuple(
            Stream(name, self.manifest, stream, settings.row_length, settings.seed, most_open=most)
            for name, stream in settings.streams.items()
        )
        self._mixture = Mixture(settings.stages, tuple(settings.streams), settings.seed)

    @property
    def fingerprint(self) -> str:
        """Of all that decides what row n holds. `workers`, `prefetch` and the folder's place do not."""
        return self._fingerprint(len(self.settings.stages))

    def position(self, row: int) -> Position:
        """Where a run stands that read all rows below `row`."""
        return Position(row, self._fingerprint(self._begun(row)))

    def means(self, position: Mapping) -> bool:
        """Whether the rows below a saved position are those of this object. Stages that begin behind it gave none of them their
        meaning, so they may be added, changed or left out. Positions were once saved with the fingerprint of all stages: those
        are known by any first stages that hold all that had begun."""
        every = range(self._begun(int(position["row"])), len(self.settings.stages) + 1)
        return position["fingerprint"] in map(self._fingerprint, every)

    def _begun(self, row: int) -> int:
        """How many stages gave run rows below `row`; the first always counts."""
        return max(1, sum(stage.from_row * self._views < row for stage in self.settings.stages))

    def _fingerprint(self, stages: int) -> str:
        settings = dataclasses.asdict(dataclasses.replace(self.settings, stages=self.settings.stages[:stages]))
        for key in ("directory", "codebooks", "workers", "prefetch"):
            del settings[key]
        for stream in settings["streams"].values():
            if not stream["drop_long"]:  # as before there was a choice
                del stream["drop_long"]
        if packing.VERSION > 1:  # as before there was another
            settings["packing"] = packing.VERSION
        return fingerprint({"settings": settings, "views": self._views, "manifest": self.manifest.fingerprint})

    def locate(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Run rows int64 [n] -> (stream index [n], ordinal within the stream [n]). Views of one data row share both."""
        return self._mixture.locate(np.asarray(numbers, np.int64) // self._views)

    def passes(self, number: int) -> dict[str, float]:
        """Stream -> how often it was gone through in the first `number` run rows: above 1, data were repeated."""
        drawn = self._mixture.drawn(number // self._views)
        return {stream.name: float(count) / stream.rows for stream, count in zip(self.streams, drawn, strict=True)}

    def at(self, numbers: np.ndarray) -> Batch:
        """Run rows int64 [B]."""
        numbers = np.asarray(numbers, np.int64)
        streams, ordinals = self.locate(numbers)
        rows = blank(self.manifest.vocabulary, len(numbers), self.settings.row_length)
        for stream in np.unique(streams).tolist():
            own = np.flatnonzero(streams == stream)
            for place, segments in zip(own.tolist(), self.streams[stream].segments(ordinals[own]), strict=True):
                self._lay_out(Row(*(array[place] for array in rows)), segments, stream, int(ordinals[place]))
        return Batch(rows, row_number(numbers), streams, (ordinals & 0xFFFFFFFF).astype(np.uint32))

    def __getitem__(self, number: int) -> Batch:
        """Run row `number`, as a batch without its leading B."""
        batch = self.at(np.array([number]))
        return Batch(Row(*(array[0] for array in batch.rows)), batch.number[0], batch.stream[0], batch.ordinal[0])

    def _lay_out(self, row: Row, segments: Sequence[Segment], stream: int, ordinal: int) -> None:
        try:
            lay_out(row, segments, self.manifest.vocabulary)
        except Refusal as refusal:
            raise refusal.inside(f"{self.streams[stream].name} row {ordinal}") from refusal


@dataclasses.dataclass(frozen=True)
class Position:
    """Where a run stands in its data: the next row, and what its number means."""

    row: int
    fingerprint: str

    def to_json(self) -> dict:
        return dataclasses.asdict(self)


def resume(position: Mapping, rows: Rows) -> int:
    """The row at which a saved position continues. Raises Refusal if the data, the mixture or a seed has changed since."""
    if not rows.means(position):
        raise Refusal(
            Problem(
                "data",
                rows.fingerprint,
                f"the checkpoint was trained on other rows (fingerprint {position['fingerprint']}): the data set, streams, "
                "a stage that had begun, seed, row length or corruption mode has changed, and row numbers would silently mean "
                "other data",
                "restore the setting (only stages that lie ahead may change), or fork the run: another workdir, with "
                "origin.run naming this one",
            )
        )
    return int(position["row"])


class _HostBatches:
    """What one host reads of every batch, as a grain data source."""

    def __init__(self, rows: Rows, first: int, batch: int, own: Sequence[int]):
        self._rows, self._first, self._batch, self._own = rows, first, batch, np.asarray(own, np.int64)

    def __len__(self) -> int:
        return _NO_END

    def __getitem__(self, step: int) -> Batch:
        return self._rows.at(self._first + int(step) * self._batch + self._own)


def batches(rows: Rows, first: int, batch: int, own: Sequence[int] | None = None) -> Iterator[Batch]:
    """The rows `own` (offsets, by default all) of every batch of `batch` rows, from run row `first` on, for ever.

    The order never depends on `workers`. Close the iterator to end its workers.
    """
    settings = rows.settings
    own = range(batch) if own is None else own
    data = grain.MapDataset.source(_HostBatches(rows, first, batch, own))
    # One thread reads ahead: more of them only contend for the interpreter lock on a local disk (measured by others too).
    threads = 0 if settings.workers else 1
    data = data.to_iter_dataset(grain.ReadOptions(num_threads=threads, prefetch_buffer_size=settings.prefetch))
    if settings.workers:
        options = grain.MultiprocessingOptions(num_workers=settings.workers, per_worker_buffer_size=settings.prefetch)
        data = data.mp_prefetch(options)
    return iter(data)
