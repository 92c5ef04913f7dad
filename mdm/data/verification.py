"""Whether a data set is what was prepared: every byte of its shards, every length, every codec."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from absl import logging

from mdm.codecs import registry
from mdm.codecs.storage import DESCRIPTION
from mdm.data import manifest as manifests
from mdm.data import shards
from mdm.data.manifest import Manifest, Shard
from mdm.fingerprint import file_digest
from mdm.problems import Problem, collecting, refuse_if
from mdm.tokens.vocabulary import MODALITIES

_AT_ONCE = 256  # documents


def verify(directory: str | Path, workers: int = 1) -> Manifest:
    """The data set in a folder, after reading all that the manifest says of it. Raises Refusal with everything that is wrong.

    Shards are compared with their sizes and SHA-256; lengths, of which packing plans are made, with the documents themselves;
    codecs with their fingerprints. workers: threads, each with a shard at a time.
    """
    manifest = manifests.read(directory)
    found: list[Problem] = []
    for modality, codec in manifest.codecs.items():
        folder = manifest.directory / "codecs" / modality
        with collecting(found):
            own = registry.load(folder).fingerprint
            if own != codec["fingerprint"]:
                reason = f"the manifest says codec {codec['fingerprint']}"
                found.append(Problem(str(folder), own, reason, manifests.again(manifest.directory)))
    every = [s for stream in manifest.streams.values() for of_split in stream.shards.values() for s in of_split]
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        for number, problems in enumerate(pool.map(lambda shard: list(_problems(manifest.directory, shard)), every), 1):
            found += problems
            logging.log_every_n_seconds(logging.INFO, "verified %d of %d shards", 15, number, len(every))
    refuse_if(found)
    return manifest


def lost(manifest: Manifest) -> list[Problem]:
    """Lengths and codecs of a data set that are not there, without a look into any."""
    every = [s for stream in manifest.streams.values() for of_split in stream.shards.values() for s in of_split]
    files = [shards.lengths_path(manifest.directory, shard) for shard in every]
    files += [manifest.directory / "codecs" / modality / DESCRIPTION for modality in manifest.codecs]
    remedy = manifests.again(manifest.directory)
    return [Problem(str(file), None, "is missing", remedy) for file in files if not file.exists()]


def _problems(directory: Path, shard: Shard) -> Iterator[Problem]:
    found = list(manifests.disagreements(directory, shard))
    if not found and (own := file_digest(directory / shard.file)) != shard.sha256:
        reason = f"its SHA-256 is not the manifest's {shard.sha256}"
        found = [Problem(str(directory / shard.file), own, reason, manifests.again(directory))]
    if not found:
        with collecting(found):
            found += _lengths(directory, shard)
    yield from found


def _lengths(directory: Path, shard: Shard) -> Iterator[Problem]:
    recorded, reader = shards.lengths(directory, shard), shards.ShardReader(directory, shard)
    for start in range(0, shard.documents, _AT_ONCE):
        own = range(start, min(start + _AT_ONCE, shard.documents))
        sizes = [[s.content[m].size if m in s.content else 0 for m in MODALITIES] for s in reader.read(own)]
        wrong = np.flatnonzero((np.array(sizes) != recorded[own.start : own.stop]).any(axis=1))
        if wrong.size:
            where = f"{shards.lengths_path(directory, shard)} document {start + wrong[0]}"
            reason = f"{shard.file} holds {sizes[wrong[0]]} ({', '.join(MODALITIES)})"
            yield Problem(where, recorded[start + wrong[0]].tolist(), reason, manifests.again(directory))
            return
