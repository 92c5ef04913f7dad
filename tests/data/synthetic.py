"""A small data set of random codes, written through the real writer."""

from pathlib import Path

import numpy as np

from mdm.data import shards
from mdm.data.manifest import SPLITS, Manifest, Stream
from mdm.tokens.vocabulary import MODALITIES, Vocabulary

VOCABULARY = Vocabulary.of({"text": (200,), "image": (300,), "audio": (50, 60)})


def random_document(rng: np.random.Generator, stream: str) -> dict[str, np.ndarray]:
    text = lambda low, high: rng.integers(0, 200, rng.integers(low, high)).astype(np.int32)  # noqa: E731
    if stream == "text":
        return {"text": text(1, 300)}
    if stream == "image-text":
        return {"text": text(1, 9), "image": rng.integers(0, 300, (4, 4)).astype(np.int32)}
    return {"text": text(1, 9), "audio": rng.integers(0, 50, (rng.integers(5, 20), 2)).astype(np.int32)}


def write(directory: Path, documents: int = 60, shard_documents: int = 25, seed: int = 0) -> Manifest:
    """Three streams of `documents` training and a tenth as many held-out documents."""
    directory.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    names = ("text", "image-text", "audio-text")
    streams = {name: {} for name in names}
    for split in SPLITS:
        count = documents if split == "train" else max(2, documents // 10)
        parts = [(n, f, min(shard_documents, count - f)) for n in names for f in range(0, count, shard_documents)]
        for number, (name, first, size) in enumerate(parts):
            own = [(f"{name}/{first + i}", random_document(rng, name)) for i in range(size)]
            shard = shards.write(directory, shards.file_name(split, number, len(parts)), own, first)
            streams[name][split] = (*streams[name].get(split, ()), shard)
    made = {
        name: Stream(
            name, tuple(m for m in MODALITIES if m in random_document(rng, name)), own, {s: {} for s in SPLITS}
        )
        for name, own in streams.items()
    }
    manifest = Manifest(directory, VOCABULARY, {}, made, "synthetic")
    manifest.save()
    return manifest
