"""Data sets of random codes, for benchmarks of reading: as large as they are asked for, in seconds."""

import functools
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mdm.data import shards
from mdm.data.manifest import SPLITS, Manifest, Shard, Stream
from mdm.data.mixture import Stage
from mdm.data.pipeline import DataSettings
from mdm.data.streams import StreamSettings
from mdm.tokens.vocabulary import Vocabulary

VOCABULARY = Vocabulary.of({"text": (32_000,), "image": (8192,)})
ROW = 1024


def prose(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """1,024 to 4,095 tokens, as unequally frequent as words."""
    return {"text": np.minimum(rng.zipf(1.3, rng.integers(1024, 4096)), 31_999).astype(np.int32)}


def pair(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """A picture of 8 x 8 codes and a caption of 4 to 12 tokens: 75 positions with all that surrounds them."""
    text = rng.integers(0, 32_000, rng.integers(4, 13)).astype(np.int32)
    return {"text": text, "image": rng.integers(0, 8192, (8, 8)).astype(np.int32)}


KINDS: dict[str, tuple[Callable, StreamSettings]] = {
    "prose": (prose, StreamSettings({"text": 1.0}, split_documents=True)),
    "pairs": (pair, StreamSettings({"text-to-image": 0.7, "image-to-text": 0.2, "joint-image-text": 0.1})),
}


def write(directory: Path, kind: str, documents: int, count: int) -> DataSettings:
    """Two streams, mixed two to one, of `count` shards of so many documents each.

    The shards of a stream are one file under many names (hard links): what is opened and read is real, what is written is not.
    """
    directory.mkdir(parents=True, exist_ok=True)
    make, _ = KINDS[kind]
    rng = np.random.default_rng(0)
    streams, number, total = {}, 0, 2 * count
    for name in ("one", "two"):
        first = None
        own = []
        for place in range(count):
            file = shards.file_name("train", number, total)
            if first is None:
                items = [(f"{name}/{index}", make(rng)) for index in range(documents)]
                first = shards.write(directory, file, items, 0)
            else:
                os.link(directory / first.file, directory / file)
                shard = Shard(file, documents, place * documents, first.bytes, first.sha256)
                os.link(shards.lengths_path(directory, first), shards.lengths_path(directory, shard))
            own.append(Shard(file, documents, place * documents, first.bytes, first.sha256))
            number += 1
        content = {split: {} for split in SPLITS}
        streams[name] = Stream(name, tuple(make(rng)), {"train": tuple(own), "heldout": ()}, content)
    Manifest(directory, VOCABULARY, {}, streams, "made up").save()
    return settings(directory, kind)


def settings(directory: Path, kind: str, workers: int = 0) -> DataSettings:
    """How a run reads what `write` wrote."""
    own = functools.partial(dict.fromkeys, ("one", "two"))
    stages = (Stage(0, {"one": 2, "two": 1}),)
    return DataSettings(str(directory), ROW, own(KINDS[kind][1]), stages, workers=workers)
