"""The quality summary of a data set: how many documents of what lengths, what was left out, and how its codes are used."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np

from mdm import atomic
from mdm.data import census
from mdm.data.census import Usage
from mdm.data.manifest import SPLITS, Manifest

FILE = "summary.json"
_QUANTILES = {"least": 0.0, "median": 0.5, "p95": 0.95, "most": 1.0}


def write(
    manifest: Manifest,
    usage: Mapping[str, np.ndarray],
    skipped: int,
    duplicates: Mapping[str, int],
    sources: Mapping[str, Mapping[str, int]],
) -> None:
    """Writes summary.json beside the manifest.

    usage: range -> times that each code occurs; skipped: records that could not be used; duplicates: documents left out, by kind;
    sources: documents of each, by split
    """
    value = {
        "skipped": skipped,
        "duplicates": dict(duplicates),
        "sources": {name: dict(own) for name, own in sources.items()},
        "streams": {name: {split: _figures(manifest, name, split) for split in SPLITS} for name in manifest.streams},
        "codes": {name: _usage(counts) for name, counts in sorted(usage.items())},
    }
    atomic.write_text(manifest.directory / FILE, json.dumps(value, indent=1))


def _figures(manifest: Manifest, name: str, split: str) -> dict:
    """Documents of a split, and the lengths of what they hold, in content positions."""
    found = {}
    for modality, own in census.lengths(manifest, name, split).items():
        if own.size:
            quantiles = np.quantile(own, list(_QUANTILES.values()), method="nearest")
            found[modality] = dict(zip(_QUANTILES, map(int, quantiles), strict=True)) | {"mean": float(own.mean())}
    return {"documents": manifest.streams[name].documents(split), "lengths": found}


def _usage(counts: np.ndarray) -> dict:
    own = Usage("", counts, 0)
    return {"codes": len(counts), "used": own.used, "perplexity": own.perplexity}
