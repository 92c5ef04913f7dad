"""The manifest: what a prepared data set holds, and what must be true of its files.

A data set is a folder that TFDS opens (`features.json`, `dataset_info.json`, ArrayRecord shards) with beside it

    manifest.json      this: streams, splits, shards, counts, sizes, fingerprints
    vocabulary.json    the token space
    codecs/MODALITY/   the codecs that made the codes
    lengths/           for every shard, content positions of each document by modality
    plans/L<row length>/   for every shard, which (piece of a) document stands in which row
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from mdm import atomic
from mdm.fingerprint import fingerprint
from mdm.problems import Problem, Refusal, refuse_if
from mdm.tokens.vocabulary import Vocabulary

FORMAT = 1
FILE = "manifest.json"
SPLITS = ("train", "heldout")
_NAME = re.compile(r"\w[\w.-]{0,47}")


@dataclasses.dataclass(frozen=True)
class Shard:
    """One ArrayRecord file. `first` is the number of its first document within (stream, split)."""

    file: str
    documents: int
    first: int
    bytes: int
    sha256: str

    @property
    def stem(self) -> str:
        """Name of the shard's files under `lengths/` and `plans/`."""
        return self.file.replace(".array_record", "")


@dataclasses.dataclass(frozen=True)
class Stream:
    """Documents of one kind. content: total content positions by split and modality."""

    name: str
    modalities: tuple[str, ...]
    shards: Mapping[str, tuple[Shard, ...]]
    content: Mapping[str, Mapping[str, int]]

    def documents(self, split: str) -> int:
        return sum(shard.documents for shard in self.shards[split])


@dataclasses.dataclass(frozen=True)
class Manifest:
    """codecs: modality -> {"kind", "fingerprint", "ceiling": measured on held-out media}."""

    directory: Path
    vocabulary: Vocabulary
    codecs: Mapping[str, Mapping]
    streams: Mapping[str, Stream]
    preparation: str

    @property
    def fingerprint(self) -> str:
        """Of everything that decides which codes stand where."""
        value = self.to_json()
        codecs = {modality: codec["fingerprint"] for modality, codec in self.codecs.items()}
        return fingerprint({"streams": value["streams"], "vocabulary": value["vocabulary"], "codecs": codecs})

    def to_json(self) -> dict:
        return {
            "format": FORMAT,
            "preparation": self.preparation,
            "vocabulary": self.vocabulary.fingerprint,
            "codecs": {modality: dict(codec) for modality, codec in self.codecs.items()},
            "streams": {name: dataclasses.asdict(stream) for name, stream in self.streams.items()},
        }

    def save(self) -> None:
        """Writes vocabulary.json and manifest.json, the manifest last and in one step: it marks the data set whole."""
        atomic.write_text(self.directory / "vocabulary.json", self.vocabulary.dumps())
        atomic.write_text(self.directory / FILE, json.dumps(self.to_json(), indent=1))


def again(directory: Path) -> str:
    """The remedy for a data set of which something is missing or damaged: prepared again in its folder it would be found there
    as it is."""
    return f"restore the file, or prepare it again, in another folder or after deleting {directory}"


def mounted(path: str, where: str) -> list[Problem]:
    """What is wrong with a path of a data set or of media that is no path of a file system. where: its key or flag."""
    if "://" not in path:
        return []
    remedy = "mount the bucket (Cloud Storage FUSE; on GKE its CSI driver) and name the folder it is mounted at"
    return [Problem(where, path, "media and shards are read from a file system, and written to one", remedy)]


def misnamed(stream: str, where: str) -> list[Problem]:
    """What is wrong with the name of a stream, of which names of files and folders are made. where: its key or file."""
    if _NAME.fullmatch(stream):
        return []
    remedy = "name it with at most 48 letters, digits, hyphens, underscores and dots, a dot or hyphen not first"
    return [Problem(where, stream, "is no plain name of a stream", remedy)]


def load(directory: str | Path) -> Manifest:
    """Reads a manifest and checks it against the files: every shard there, with the recorded size.

    Raises Refusal with every disagreement. Record counts are checked when a shard is opened, contents by `verification`.
    """
    manifest = read(directory)
    refuse_if(
        problem
        for stream in manifest.streams.values()
        for shards in stream.shards.values()
        for shard in shards
        for problem in disagreements(manifest.directory, shard)
    )
    return manifest


def read(directory: str | Path) -> Manifest:
    """Reads a manifest and its vocabulary, without a look at the shards. Raises Refusal if they cannot be read or disagree."""
    directory = Path(directory)
    path = directory / FILE
    if not path.exists():
        raise Refusal(
            Problem(str(path), None, "there is no prepared data set here", "run `python -m mdm.prepare` first")
        )
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        if value["format"] != FORMAT:
            raise ValueError(f"format {value['format']!r}, this version reads {FORMAT}")
        streams = {name: _stream(stream) for name, stream in value["streams"].items()}
        codecs, preparation, recorded = value["codecs"], value["preparation"], value["vocabulary"]
    except (KeyError, TypeError, ValueError) as error:
        raise Refusal(Problem(str(path), None, f"is not a manifest ({error!r})", again(directory))) from error
    refuse_if(problem for name, stream in streams.items() for problem in _unfit(path, name, stream))
    vocabulary = _load_vocabulary(directory / "vocabulary.json")
    if vocabulary.fingerprint != recorded:
        raise Refusal(
            Problem(
                str(directory / "vocabulary.json"),
                vocabulary.fingerprint,
                f"is another vocabulary than the manifest's {recorded}",
                again(directory),
            )
        )
    return Manifest(directory, vocabulary, codecs, streams, preparation)


def _load_vocabulary(path: Path) -> Vocabulary:
    try:
        return Vocabulary.from_json(json.loads(path.read_text(encoding="utf-8")), str(path))
    except (OSError, ValueError) as error:
        raise Refusal(Problem(str(path), None, f"cannot be read ({error})", again(path.parent))) from error


def _stream(value: dict) -> Stream:
    shards = {split: tuple(Shard(**shard) for shard in shards) for split, shards in value["shards"].items()}
    return Stream(value["name"], tuple(value["modalities"]), shards, value["content"])


def _unfit(path: Path, key: str, stream: Stream) -> list[Problem]:
    if key != stream.name:
        return [Problem(f"{path}: stream {key}", stream.name, "has another name than its key", again(path.parent))]
    return misnamed(key, f"{path}: stream")


def disagreements(directory: Path, shard: Shard) -> Iterator[Problem]:
    """What a look at a shard's file, without reading it, shows to be wrong."""
    path = directory / shard.file
    if Path(shard.file).name != shard.file:
        yield Problem(f"{directory / FILE}: shard", shard.file, "is not a plain file name", again(directory))
    elif not path.exists():
        reason = f"missing, but the manifest lists it with {shard.documents} documents"
        yield Problem(str(path), None, reason, again(directory))
    elif path.stat().st_size != shard.bytes:
        yield Problem(
            str(path), f"{path.stat().st_size} bytes", f"the manifest says {shard.bytes} bytes", again(directory)
        )
