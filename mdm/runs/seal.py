"""The seal of a checkpoint: sizes and digests of its files, so that damage is found before it is trained on.

Orbax moves a finished checkpoint into place in one step, so a half-written one is never seen. What happens to the files
afterwards (a truncated copy, a flipped bit, a file that a sync left out) only a seal shows: tensorstore reads a chunk whose
bytes were changed without complaint if it still decompresses.
"""

from __future__ import annotations

import hashlib
import json

from etils import epath

from mdm import atomic

_NAME = "seal.json"
_CHUNK = 1 << 24


def write(step: epath.Path) -> None:
    """Seals a finished checkpoint folder, in one step."""
    atomic.write_text(step / _NAME, json.dumps(_contents(step)))


def damage(step: epath.Path) -> str | None:
    """What is wrong with a checkpoint folder, naming the file; None if it is as it was sealed.

    A checkpoint without a seal (its process died in the instant between) is not judged: None.
    """
    seal = step / _NAME
    if not seal.exists():
        return None
    try:
        sealed = json.loads(seal.read_text())
    except ValueError as error:
        return f"{seal}: {error}"
    found = _contents(step)
    for name, contents in sealed.items():
        if name not in found:
            return f"{step / name} is missing"
        if found[name] != contents:
            return f"{step / name}: {found[name]} where {contents} was written"
    return None


def exists(step: epath.Path) -> bool:
    return (step / _NAME).exists()


def _contents(step: epath.Path) -> dict[str, list]:
    """File name -> [bytes, digest] of all files below a folder but the seal."""
    found: dict[str, list] = {}
    folders = [step]
    while folders:
        for path in sorted(folders.pop().iterdir()):
            if path.is_dir():
                folders.append(path)
            elif not path.name.startswith(_NAME):
                found[path.relative_to(step).as_posix()] = [path.stat().length, _digest(path)]
    return found


def _digest(path: epath.Path) -> str:
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
