"""What a reader is: a layout on disk, cut into pieces that travel, each read from end to end as a stream of items."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from mdm.data.media import Item
from mdm.fingerprint import fingerprint
from mdm.problems import Problem, Refusal

CHUNK = 4096  # records of a piece, where a layout lets itself be cut
DUPLICATES = ("keep", "exact", "near")


@dataclasses.dataclass(frozen=True)
class Piece:
    """What one worker reads from end to end. Plain data, since it travels to other processes and machines.

    files:   relative to the path of the source; none for a piece of the source as a whole
    first:   number of its first record, and stop the number behind its last (-1: all there are)
    offset:  where record `first` begins, in the unit of the layout (bytes of a table, row groups of Parquet, batches of Arrow)
    version: changes when the media do, as far as that shows without reading all of them
    """

    files: tuple[str, ...]
    version: str
    first: int = 0
    stop: int = -1
    offset: int = 0


@dataclasses.dataclass(frozen=True)
class Options:
    """What every kind of source can be asked for. duplicates: "keep"; "exact" leaves out documents whose media are equal, bit
    for bit; "near" also leaves out texts that share most of their word sequences (needs the extra `duplicates`)."""

    duplicates: str = "keep"

    def problems(self, at: str) -> list[Problem]:
        if self.duplicates not in DUPLICATES:
            return [Problem(f"{at}.duplicates", self.duplicates, "unknown", f"use one of {DUPLICATES}")]
        return []

    def undrawn(self) -> Options:
        """The same for a source that lies on one side as a whole: of a concept it only counts that documents of one are not
        independent, to the errors of an evaluation."""
        return self

    @property
    def finer(self) -> str:
        """Options, as their owner would write them, that make several concepts of one; empty where there are none."""
        return ""


def others(chosen: str, choices: tuple[str, ...]) -> str:
    """What `split_by` may be but for what it is, as its owner would write it."""
    return f"split_by={' or '.join(json.dumps(own) for own in choices if own != chosen)}"


def _uncut(path: Path, options: Options, piece: Piece) -> Iterator[Piece]:
    yield piece


@dataclasses.dataclass(frozen=True)
class Reader:
    """One kind of source.

    options: its settings, a subclass of `Options`
    pieces:  (name, path, options) -> its pieces, in a stable order and without reading media. Raises Refusal for a layout
             that is not there at all.
    items:   (name, path, options, piece) -> the items of a piece, read as a stream; their keys begin with the name of the
             source. A record that cannot be read is an item whose media raise (`media.unreadable`), so that it can be
             skipped and reported like any other. Every item goes through `admission` before it is used. Raises Refusal
             (`broken_off`) for a file of many records that breaks off.
    local:   whether the path must exist beforehand
    cut:     (path, options, piece) -> the same records in pieces that a worker reads in a short while, in their order. A
             preparation is known by its pieces as they were before, so that a reader may learn to cut.
    """

    options: type[Options]
    pieces: Callable[[str, Path, Options], Iterator[Piece]]
    items: Callable[[str, Path, Options, Piece], Iterator[Item]]
    local: bool = True
    cut: Callable[[Path, Options, Piece], Iterator[Piece]] = _uncut


def broken_off(where: str, error: Exception, remedy: str = "mend or remove the file") -> Refusal:
    """What is raised for a file whose records end too early. Nobody knows how many are lost, so that it is no skip of one."""
    reason = f"cannot be read any further ({error}); how many records are lost is not known, so it is never skipped"
    return Refusal(Problem(where, None, reason, remedy))


def whole(function: Callable[[str, Path], Iterable[Item]]) -> Reader:
    """A reader of what is listed at once: `function(name, path)`. For the demo's packages, of at most 10^5 items."""
    listed = functools.lru_cache(maxsize=8)(lambda name, path: tuple(function(name, path)))

    def pieces(name: str, path: Path, options: Options) -> Iterator[Piece]:
        for first, part in chunks(listed(name, path)):
            yield Piece((), fingerprint([item.identity for item in part]), first, first + len(part))

    def items(name: str, path: Path, options: Options, piece: Piece) -> Iterator[Item]:
        yield from itertools.islice(listed(name, path), piece.first, piece.stop)

    return Reader(Options, pieces, items, local=False)


def chunks(records: Iterable, size: int = CHUNK) -> Iterator[tuple[int, list]]:
    """(number of the first, records) of each run of `size`."""
    records, first = iter(records), 0
    while part := list(itertools.islice(records, size)):
        yield first, part
        first += len(part)
