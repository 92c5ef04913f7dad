"""The work of a preparation that is not finished: what every worker knows, and where it leaves what it made.

Below the data set, in `work/`: `parts/` holds what became of each piece of a source, `runs/` their documents on the way to
shards, `shards/` these as long as their final names are not known, `skips/` and `refusals/` what workers found wrong. Each file
appears in one step, so that a start after a kill redoes only what is not there. The folder is deleted when the data set is whole.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shutil
import socket
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from absl import logging

from mdm import atomic
from mdm.data import tally
from mdm.data.manifest import FILE
from mdm.data.readers.reader import Piece
from mdm.data.sources import SourceSettings
from mdm.problems import Problem, Refusal, unwritable
from mdm.runs.lock import Lock

FOLDER = "work"
_IDENTITY = "identity"
_LOCK = "lock"
_SAME = "give every worker the same folders, at the same paths, as the process that starts them (a network disk)"


def claim(directory: Path) -> None:
    """Makes the folder of a data set to be and marks it as ours, unless a data set is there. Raises Refusal, with nothing
    touched, for a file, for a folder that holds anything else (what a preparation leaves behind is deleted by name, and a
    stranger's `work` has the same name) and for one that cannot be made; Fault if its storage does not answer."""
    try:
        _claim(directory, directory / FOLDER / _IDENTITY)
    except OSError as error:
        remedy = "name a folder that can be made and written as --output"
        reason = "cannot be made, or written"
        if isinstance(error, FileNotFoundError):  # it was to be made with all above it: a place where nothing can be
            raise Refusal(Problem(str(directory), None, f"{reason} ({error})", remedy)) from error
        raise unwritable(str(directory), reason, error, remedy) from error


def _claim(directory: Path, mark: Path) -> None:
    if mark.exists() or (directory / FILE).exists():
        return
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        reason = "holds something else than a data set or an unfinished preparation"
        raise Refusal(Problem(str(directory), None, reason, "name a new or empty folder as --output"))
    mark.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_text(mark, "", shared=True)


def refuse_other_parts(directory: Path, identity: str) -> None:
    """Raises Refusal, with nothing touched, if parts are there and `identity`, a field of `Identity`, is not what they were made
    with: they may be days of work."""
    parts = directory / FOLDER / "parts"
    whole = {file.name.partition(".")[0] for file in parts.glob("*.npz")}
    if whole and identity not in _known(directory):
        reason = "holds an unfinished preparation from other sources, settings or codecs, or by another version"
        remedy = f"choose another folder, or delete {parts}"
        raise Refusal(Problem(str(directory), f"{len(whole)} encoded pieces of sources", reason, remedy))


def knows(directory: Path, identity: str) -> bool:
    """Whether what lies in the work was made with `identity`, a field of `Identity`."""
    return identity in _known(directory)


def _known(directory: Path) -> list[str]:
    """Fields of the identity of what lies in the work; none where it was claimed and no more."""
    mark = directory / FOLDER / _IDENTITY
    return mark.read_text(encoding="utf-8").split() if mark.exists() else []


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Holds a folder while a data set is made in it, and deletes the work when the data set is whole. Raises Refusal if another
    process prepares there."""
    with Lock(_Held(directory, directory / FOLDER / _LOCK)):
        yield
    if (directory / FILE).exists():  # after the lock: a network disk keeps a file that is open
        shutil.rmtree(directory / FOLDER, ignore_errors=True)


@dataclasses.dataclass(frozen=True)
class _Held:
    path: Path
    lock: Path


@dataclasses.dataclass(frozen=True)
class Task:
    """One piece of a source. number: its place among all of them."""

    number: int
    source: str
    piece: Piece


@dataclasses.dataclass(frozen=True)
class Identity:
    """What the work is made from, as fingerprints. media: the sources, and the settings that decide what becomes of a record;
    parts: these and the codecs; shards: these and the settings that decide in which file a document lies."""

    media: str
    parts: str
    shards: str


@dataclasses.dataclass(frozen=True)
class Job:
    """What every worker knows: plain data, and a folder that all of them see.

    modalities: of each stream's documents; codebooks: sizes for each modality that has a codec
    """

    directory: Path
    sources: Mapping[str, SourceSettings]
    modalities: Mapping[str, tuple[str, ...]]
    codebooks: Mapping[str, tuple[int, ...]]
    heldout: float
    most_skips: int
    seed: int

    @property
    def folder(self) -> Path:
        return self.directory / FOLDER

    def part(self, number: int, ending: str) -> Path:
        return self.folder / "parts" / f"{number:06d}{ending}"

    def shard(self, number: int, ending: str) -> Path:
        return self.folder / "shards" / f"{number:06d}{ending}"

    def run(self, bin_: int, batch: int, ending: str) -> Path:
        """What a batch of parts holds of a bin of shards, see `shuffle`."""
        return self.folder / "runs" / f"{bin_:06d}-{batch:06d}{ending}"

    def skips(self) -> list[Path]:
        """What was skipped, a file for each piece of which something was, in their order. Two workers may be given one piece, and
        each keeps a file of its own: the longest tells all."""
        longest: dict[str, tuple[int, Path]] = {}
        for file in sorted((self.folder / "skips").glob("*.jsonl")):
            piece = file.name.partition(".")[0]
            with contextlib.suppress(FileNotFoundError):  # the other worker begins, and forgets what was there
                size = file.stat().st_size
                if piece not in longest or size > longest[piece][0]:
                    longest[piece] = size, file
        return [file for _, file in longest.values()]

    def forget_skips(self, number: int) -> None:
        """Those of a start that did not get to the end of a piece."""
        for file in (self.folder / "skips").glob(f"{number:06d}.*"):
            file.unlink(missing_ok=True)

    def open(self, identity: Identity) -> None:
        """Makes the folder. What is there of this preparation stays, but for refusals: parts, and what was made of them if it was
        made with these settings. Raises Refusal if parts of another one are there."""
        refuse_other_parts(self.directory, identity.parts)
        known = _known(self.directory)
        if identity.parts not in known:  # no part is there: what lies in their folders was not finished
            for name in ("parts", "skips"):
                shutil.rmtree(self.folder / name, ignore_errors=True)
        if identity.shards not in known:
            made = [self.folder / name for name in ("runs", "shards")]
            for folder in (*made, *(self.directory / name for name in ("lengths", "plans", "exhibits"))):
                shutil.rmtree(folder, ignore_errors=True)
            for file in self.directory.glob("mdm-*.array_record-*"):
                file.unlink()
        shutil.rmtree(self.folder / "refusals", ignore_errors=True)
        for name in ("parts", "runs", "shards", "skips", "refusals"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        atomic.write_text(self.folder / _IDENTITY, "\n".join(dataclasses.astuple(identity)))

    def refuse(self, number: int, refusal: Refusal) -> None:
        """A worker tells the others, and whoever waits for them, that this preparation cannot succeed."""
        text = json.dumps([dataclasses.asdict(problem) for problem in refusal.problems], default=str)
        atomic.write_text(self.folder / "refusals" / f"{number:06d}.json", text)

    @property
    def refused(self) -> bool:
        return any((self.folder / "refusals").iterdir())

    def raise_refusals(self) -> None:
        """Raises one Refusal with what workers refused, if they did."""
        problems = [
            Problem(**problem)
            for file in sorted((self.folder / "refusals").glob("*.json"))
            for problem in json.loads(file.read_text(encoding="utf-8"))
        ]
        if problems:
            raise Refusal(problems)

    def skip(self, number: int, worker: str, key: str, refusal: Refusal) -> None:
        """Notes a record of piece `number` that cannot be used. worker: a name that no other has who encodes the same piece.

        Raises `refusal` if there are more than may be skipped, as far as this process knows (`tally`).
        """
        lines = [{"key": key, "where": problem.where, "reason": problem.reason} for problem in refusal.problems]
        with open(self.folder / "skips" / f"{number:06d}.{worker}.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps({"key": key, "problems": lines}) + "\n")
        logging.warning("skipped %s: %s", key, refusal)
        if tally.of(self.folder).exceeds(self.most_skips, self.skipped):
            remedy = f"mend it, or raise prepare.most_skips above {self.most_skips}"
            raise Refusal([dataclasses.replace(p, remedy=f"{p.remedy}; {remedy}") for p in refusal.problems])

    def skipped(self) -> int:
        """How many records all workers have skipped so far."""
        count = 0
        for file in self.skips():
            with contextlib.suppress(FileNotFoundError):  # as above
                count += file.read_bytes().count(b"\n")
        return count

    def report_skips(self, path: Path) -> int:
        """Writes all skips, a problem a line, in the order of the pieces; gives the number of records."""
        skipped = [json.loads(line) for file in self.skips() for line in file.read_text(encoding="utf-8").splitlines()]
        text = "".join(json.dumps(problem) + "\n" for record in skipped for problem in record["problems"])
        if text:
            atomic.write_text(path, text)
        else:
            path.unlink(missing_ok=True)
        return len(skipped)

    def expect(self, files: Iterable[Path]) -> None:
        """Raises Refusal unless all files are there that workers said they had written."""
        missing = [file for file in files if not file.exists()]
        if missing:
            reason = f"{len(missing)} files that workers wrote are not here, this one first"
            raise Refusal(Problem(str(missing[0]), None, reason, _SAME))

    def check_here(self) -> None:
        """Raises Refusal on a worker that does not see the folder."""
        if not self.folder.is_dir():
            raise Refusal(Problem(str(self.folder), None, f"is not there on {socket.gethostname()}", _SAME))
