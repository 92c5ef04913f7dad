"""The same few records in the layout of every reader, to hold all of them to what the contract says of any."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

from tests.data.readers.reading import archive, png, tfds_set, wav


def _lines(file: Path, lines: list[bytes]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"".join(line + b"\n" for line in lines))


def _table(column: bytes, ending: bytes, medium: bytes) -> Callable[[Path, list[bytes]], None]:
    def write(path: Path, texts: list[bytes]) -> None:
        _lines(path / "t.tsv", [b"file\t" + column, *(b"%d%s\t%s" % (i, ending, own) for i, own in enumerate(texts))])
        for i in range(len(texts)):
            (path / f"{i}{ending.decode()}").write_bytes(medium)

    return write


def _pictures(path: Path, texts: list[bytes]) -> None:
    for i, text in enumerate(texts):
        (path / f"{i}.png").write_bytes(png())
        (path / f"{i}.txt").write_bytes(text)


def _json(path: Path, texts: list[bytes]) -> None:
    codes = json.dumps([[1, 2], [3, 4]]).encode()
    _lines(path / "t.jsonl", [b'{"text": "%s", "image": %s}' % (own, codes) for own in texts])


def _columns(kind: str) -> Callable[[Path, list[bytes]], None]:
    def write(path: Path, texts: list[bytes]) -> None:
        import pyarrow
        from pyarrow import ipc, parquet

        column = pyarrow.array(texts, pyarrow.binary()).cast(pyarrow.string(), safe=False)
        own = pyarrow.table({"text": column, "image": [{"bytes": png()}] * len(texts)})
        if kind == "parquet":
            parquet.write_table(own, path / "t.parquet")
        else:
            with ipc.new_file(str(path / "t.arrow"), own.schema) as writer:
                writer.write_table(own)

    return write


def _tar(path: Path, texts: list[bytes]) -> None:
    archive(
        path / "t.tar", [(f"{i}.{end}", m) for i, own in enumerate(texts) for end, m in (("png", png()), ("txt", own))]
    )


def _ljspeech(path: Path, texts: list[bytes]) -> None:
    _lines(path / "metadata.csv", [b"LJ001-%04d|%s|%s" % (i, own, own) for i, own in enumerate(texts)])
    (path / "wavs").mkdir()
    for i in range(len(texts)):
        (path / f"wavs/LJ001-{i:04d}.wav").write_bytes(wav())


def _librispeech(path: Path, texts: list[bytes]) -> None:
    _lines(path / "1/2/1-2.trans.txt", [b"1-2-%04d %s" % (i, own) for i, own in enumerate(texts)])
    for i in range(len(texts)):
        (path / f"1/2/1-2-{i:04d}.flac").write_bytes(wav())


def _tfds(path: Path, texts: list[bytes]) -> None:
    tfds_set(path, {"text": tfds.features.Text()}, [{"text": own} for own in texts])


def _arrays(path: Path, texts: list[bytes]) -> None:
    np.save(path / "t.npy", np.array([[1, 2] if own.isascii() else [1, 2**40] for own in texts]))


WRITE: dict[str, Callable[[Path, list[bytes]], None]] = {
    "captioned-images": _table(b"caption", b".png", png()),
    "transcribed-speech": _table(b"transcript", b".wav", wav()),
    "image-folder": _pictures,
    "json-lines": _json,
    "parquet": _columns("parquet"),
    "arrow": _columns("arrow"),
    "webdataset": _tar,
    "ljspeech": _ljspeech,
    "librispeech": _librispeech,
    "tfds": _tfds,
    "prose": lambda path, texts: _lines(path / "t.txt", texts),
    "arrays": _arrays,
}
"""Kind -> what writes a record for each text: with a picture or a sound where it holds any, the text alone where it does not.
Codes stand for texts in arrays, and what is no code for a text that is not ASCII."""

NAMED = {"captioned-images": r"t\.tsv line 4", "transcribed-speech": r"t\.tsv line 4", "image-folder": r"/2\.txt",
         "json-lines": r"t\.jsonl line 3", "parquet": r"t\.parquet row 2", "arrow": r"t\.arrow row 2",
         "webdataset": r"t\.tar: 2\.txt", "ljspeech": r"metadata\.csv line 3", "librispeech": r"1/2/1-2\.trans\.txt line 3",
         "tfds": r"train record 2", "prose": r"t\.txt line 3", "arrays": r"t\.npy document 2"}  # fmt: skip
"""How the third record is called."""

OPTIONS = {"json-lines": {"image": "image"}, "parquet": {"image": "image"}, "arrow": {"image": "image"},
           "prose": {"document": "line"}}  # fmt: skip
ALONE = ("prose", "tfds")
"""Kinds whose documents are a text alone here."""
FILE = {"captioned-images": "t.tsv", "transcribed-speech": "t.tsv", "json-lines": "t.jsonl", "ljspeech": "metadata.csv",
        "librispeech": "1/2/1-2.trans.txt", "prose": "t.txt"}  # fmt: skip
"""Of kinds that hold the texts of many records in one file of text."""
