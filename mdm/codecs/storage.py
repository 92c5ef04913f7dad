"""A codec on disk: `codec.json` with its kind, settings and fingerprint, and `weights.npz` if it has arrays. No pickle."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mdm import atomic
from mdm.codecs import layers
from mdm.fingerprint import fingerprint
from mdm.problems import Problem, Refusal, refuse_if

DESCRIPTION = "codec.json"
_WEIGHTS = "weights.npz"
_MOST_BYTES = 1 << 30  # of arrays; the largest codec here has 8 MB
_MOST_TEXT = 1 << 26  # of a JSON file; a BPE of 2,048 codes has 0.1 MB
_AGAIN = "restore the file, or fit the codec again"


def arrays_fingerprint(kind: str, settings: Any, arrays: Mapping[str, np.ndarray]) -> str:
    """Of a codec that is settings and arrays."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype} {arrays[name].shape}".encode())
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return fingerprint([kind, dataclasses.asdict(settings), digest.hexdigest()])


def describe(folder: Path, kind: str, settings: Any, own: str, **more: Any) -> None:
    """Writes codec.json. more: what this kind alone says of itself."""
    value = {"kind": kind, "fingerprint": own, "settings": dataclasses.asdict(settings)} | more
    (folder / DESCRIPTION).write_text(json.dumps(value, indent=1), encoding="utf-8")


def description(folder: Path) -> dict:
    """What `describe` wrote, what one kind alone says unchecked. Raises Refusal for a file that is missing or damaged."""
    path = folder / DESCRIPTION
    try:
        value = json.loads(read_text(path))
        known = {
            "kind": str(value["kind"]),
            "fingerprint": str(value["fingerprint"]),
            "settings": dict(value["settings"]),
        }
        return value | known
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise Refusal(Problem(str(path), None, f"is not the description of a codec ({error!r})", _AGAIN)) from error


def read_text(path: Path) -> str:
    """A small UTF-8 file. Raises OSError or ValueError if it is missing, too large or not UTF-8."""
    with path.open("rb") as file:
        content = file.read(_MOST_TEXT + 1)
    if len(content) > _MOST_TEXT:
        raise ValueError(f"over {_MOST_TEXT} bytes")
    return content.decode()


def settings_of(kind: type, folder: Path) -> Any:
    """The settings dataclass that `describe` wrote; lists become the tuples they were. Raises Refusal for settings that a
    config could not have given either."""
    value, path = description(folder)["settings"], str(folder / DESCRIPTION)
    try:
        settings, usual = kind(**{name: _tuples(part) for name, part in value.items()}), kind()
    except TypeError as error:
        raise Refusal(Problem(path, None, f"is of another version ({error})", _AGAIN)) from error
    for field in dataclasses.fields(kind):
        found = getattr(settings, field.name)
        if not _alike(found, getattr(usual, field.name)):
            raise Refusal(Problem(f"{path}: {field.name}", found, "is of the wrong type", _AGAIN))
    refuse_if(settings.problems(path))
    return settings


def save_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes an .npz in one step."""
    with atomic.replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays)


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """Raises Refusal for a file that is missing, damaged or too large.

    Nothing here is written compressed, so nothing compressed is read: a file of 1 MB could otherwise ask for 1 GB.
    """
    try:
        with path.open("rb") as file:
            if file.seek(0, io.SEEK_END) > _MOST_BYTES:
                raise ValueError(f"over {_MOST_BYTES} bytes")
            with zipfile.ZipFile(file) as stored:
                if any(part.compress_type != zipfile.ZIP_STORED for part in stored.infolist()):
                    raise ValueError("compressed")
            file.seek(0)
            with np.load(file, allow_pickle=False) as stored:
                return {name: stored[name] for name in stored.files}
    except Exception as error:  # zip, zlib and numpy each have their own
        raise Refusal(Problem(str(path), None, f"cannot be read ({error})", _AGAIN)) from error


def save(folder: Path, kind: str, settings: Any, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes a codec that is settings and arrays."""
    folder.mkdir(parents=True, exist_ok=True)
    save_arrays(folder / _WEIGHTS, arrays)
    describe(folder, kind, settings, arrays_fingerprint(kind, settings, arrays))


def load(folder: Path, kind: str, settings_kind: type, like: Callable[[Any], dict]) -> tuple[Any, dict]:
    """What `save` wrote: (settings, nested arrays). like: settings -> arrays or their shapes, in the nesting that is wanted.

    Raises Refusal for a file that is missing, damaged or not of its description.
    """
    found = description(folder)["kind"]
    if found != kind:
        raise Refusal(Problem(str(folder / DESCRIPTION), found, f"is not a codec of kind {kind}", _AGAIN))
    settings = settings_of(settings_kind, folder)
    path = folder / _WEIGHTS
    arrays = load_arrays(path)
    own, recorded = arrays_fingerprint(kind, settings, arrays), description(folder)["fingerprint"]
    if own != recorded:
        raise Refusal(Problem(str(path), own, f"does not belong to {DESCRIPTION} ({recorded})", _AGAIN))
    try:
        layers.check_finite(arrays)
        return settings, layers.unflatten(arrays, like(settings))
    except (KeyError, ValueError, TypeError) as error:
        raise Refusal(Problem(str(path), None, f"does not fit its settings ({error})", _AGAIN)) from error


def _alike(value: Any, usual: Any) -> bool:
    """Whether a value read from JSON has the type of the usual one; whole numbers are floats too."""
    if isinstance(usual, tuple):
        return isinstance(value, tuple) and all(_alike(part, usual[0]) for part in value)
    return type(value) is type(usual) or (type(usual) is float and type(value) is int)


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
