"""The quality summary of a data set: how many documents of what lengths, what was left out, and how its codes are used."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np

from mdm import atomic
from mdm.data import shards
from mdm.data.manifest import SPLITS, Manifest
from mdm.tokens.vocabulary import MODALITIES

FILE = "summary.json"
_QUANTILES = {"least": 0.0, "median": 0.5, "p95": 0.95, "most": 1.0}


def write(manifest: Manifest, usage: Mapping[str, np.ndarray], skipped: int, duplicates: Mapping[str, int]) -> None:
    """Writes summary.json beside the manifest.

    usage: range -> times that each code occurs; skipped: records that could not be used; duplicates: documents left out, by kind
    """
    value = {
        "skipped": skipped,
        "duplicates": dict(duplicates),
        "streams": {name: {split: _figures(manifest, name, split) for split in SPLITS} for name in manifest.streams},
        "codes": {name: _usage(counts) for name, counts in sorted(usage.items())},
    }
    atomic.write_text(manifest.directory / FILE, json.dumps(value, indent=1))


def _figures(manifest: Manifest, stream: str, split: str) -> dict:
    """Documents of a split, and the lengths of what they hold, in content positions."""
    own = manifest.streams[stream]
    lengths = [shards.lengths(manifest.directory, shard) for shard in own.shards[split]]
    every = np.concatenate(lengths) if lengths else np.zeros((0, len(MODALITIES)), np.int32)
    found = {}
    for modality in own.modalities if len(every) else ():
        column = every[:, MODALITIES.index(modality)]
        quantiles = np.quantile(column, list(_QUANTILES.values()), method="nearest")
        found[modality] = dict(zip(_QUANTILES, map(int, quantiles), strict=True)) | {"mean": float(column.mean())}
    return {"documents": len(every), "lengths": found}


def _usage(counts: np.ndarray) -> dict:
    """used: codes that occur; perplexity: the number of codes that would be as hard to guess if all were as frequent."""
    shares = counts[counts > 0] / max(1, counts.sum())
    perplexity = float(np.exp(-(shares * np.log(shares)).sum())) if shares.size else 0.0
    return {"codes": len(counts), "used": int((counts > 0).sum()), "perplexity": perplexity}
