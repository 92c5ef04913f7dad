"""Small data sets of plain text, prepared without fitting anything."""

from pathlib import Path

from mdm.codecs.text_bytes import BytesSettings
from mdm.data.engine import Engine
from mdm.data.manifest import SPLITS, Manifest
from mdm.data.preparation import CodecChoice, PreparationSettings, prepare
from mdm.data.readers.prose import ProseOptions
from mdm.data.shards import read_all
from mdm.data.sources import SourceSettings

LINES = ProseOptions(document="line", split_by="document")


def settings_of(path: Path, options: object = LINES, **changes) -> PreparationSettings:
    """Every line of the .txt files below `path` is a document."""
    source = SourceSettings("prose", str(path), "text", options)
    usual = {"sources": {"t": source}, "codecs": {"text": CodecChoice("bytes", BytesSettings())}, "shard_documents": 7}
    return PreparationSettings(**usual | changes)


def write(path: Path, files: int = 5, lines: int = 12) -> Path:
    path.mkdir(parents=True)
    for number in range(files):
        own = [f"line {line} of file {number} says {line * 7919 + number}" for line in range(lines)]
        (path / f"{number}.txt").write_text("\n".join(own) + "\n")
    return path


def prepared(settings: PreparationSettings, directory: Path, engine: Engine = Engine()) -> Manifest:
    return prepare(settings, directory, engine)


def texts(manifest: Manifest, stream: str = "text", split: str | None = None) -> dict[str, str]:
    """key -> text of every document."""
    found = {}
    for own in SPLITS if split is None else (split,):
        for _, stored in read_all(manifest, stream, own):
            found[stored.key] = bytes(stored.content["text"].astype("uint8")).decode()
    return found


def files_of(manifest: Manifest) -> dict[str, bytes]:
    """What preparation wrote, byte for byte."""
    return {
        path.relative_to(manifest.directory).as_posix(): path.read_bytes()
        for path in sorted(manifest.directory.rglob("*"))
        if path.is_file()
    }
