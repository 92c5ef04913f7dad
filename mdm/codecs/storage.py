"""A codec on disk: `codec.json` with its kind, settings and fingerprint, and `weights.npz` if it has arrays. No pickle."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mdm.fingerprint import fingerprint
from mdm.problems import Problem, Refusal

DESCRIPTION = "codec.json"
_WEIGHTS = "weights.npz"
_AGAIN = "restore the file, or fit the codec again"


def arrays_fingerprint(kind: str, settings: Any, arrays: Mapping[str, np.ndarray]) -> str:
    """Of a codec that is settings and arrays."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype} {arrays[name].shape}".encode())
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return fingerprint([kind, dataclasses.asdict(settings), digest.hexdigest()])


def describe(folder: Path, kind: str, settings: Any, own: str) -> None:
    """Writes codec.json."""
    value = {"kind": kind, "fingerprint": own, "settings": dataclasses.asdict(settings)}
    (folder / DESCRIPTION).write_text(json.dumps(value, indent=1), encoding="utf-8")


def description(folder: Path) -> dict:
    """What `describe` wrote. Raises Refusal for a file that is missing or damaged."""
    path = folder / DESCRIPTION
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        return {
            "kind": str(value["kind"]),
            "fingerprint": str(value["fingerprint"]),
            "settings": dict(value["settings"]),
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Refusal(Problem(str(path), None, f"is not the description of a codec ({error!r})", _AGAIN)) from error


def settings_of(kind: type, folder: Path) -> Any:
    """The settings dataclass that `describe` wrote; lists become the tuples they were."""
    value = description(folder)["settings"]
    try:
        return kind(**{name: _tuples(part) for name, part in value.items()})
    except TypeError as error:
        raise Refusal(Problem(str(folder / DESCRIPTION), None, f"is of another version ({error})", _AGAIN)) from error


def save_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes an .npz in one step."""
    temporary = path.with_name(path.name + ".tmp")
    with open(temporary, "wb") as file:
        np.savez(file, **arrays)
    temporary.replace(path)


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """Raises Refusal for a file that is missing or damaged."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except Exception as error:  # zip, zlib and numpy each have their own
        raise Refusal(Problem(str(path), None, f"cannot be read ({error})", _AGAIN)) from error


def save(folder: Path, kind: str, settings: Any, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes a codec that is settings and arrays."""
    folder.mkdir(parents=True, exist_ok=True)
    save_arrays(folder / _WEIGHTS, arrays)
    describe(folder, kind, settings, arrays_fingerprint(kind, settings, arrays))


def load(folder: Path, kind: str, settings_kind: type) -> tuple[Any, dict[str, np.ndarray]]:
    """What `save` wrote: (settings, arrays). Raises Refusal for a file that is missing, damaged or not of its description."""
    settings = settings_of(settings_kind, folder)
    arrays = load_arrays(folder / _WEIGHTS)
    found, recorded = arrays_fingerprint(kind, settings, arrays), description(folder)["fingerprint"]
    if found != recorded:
        raise Refusal(Problem(str(folder / _WEIGHTS), found, f"does not belong to {DESCRIPTION} ({recorded})", _AGAIN))
    return settings, arrays


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
