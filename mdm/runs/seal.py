"""The seal of a checkpoint: sizes and digests of its files, so that damage is found before it is trained on.

Orbax moves a finished checkpoint into place in one step, so a half-written one is never seen. What happens to the files
afterwards (a truncated copy, a flipped bit, a file that a sync left out) only a seal shows: tensorstore reads a chunk whose
bytes were changed without complaint if it still decompresses.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from etils import epath

from mdm import atomic
from mdm.fingerprint import fingerprint

_NAME = "seal.json"
_READERS = 16


def write(step: epath.Path) -> None:
    """Seals a finished checkpoint folder, in one step."""
    atomic.write_text(step / _NAME, json.dumps(_contents(step)))


def damage(step: epath.Path, part: str | None = None, share: tuple[int, int] = (0, 1)) -> str | None:
    """What is wrong with a checkpoint folder, naming the file; None if it is as it was sealed.

    part: only what lies in this folder of it is looked at, and read
    share: number and count of those who look, each at files of its own
    A checkpoint without a seal (its process died in the instant between) is not judged: None.
    """
    seal = step / _NAME
    if not seal.exists():
        return None
    try:
        sealed = _checked(json.loads(seal.read_bytes()))
    except ValueError as error:
        return f"{seal}: {error}"
    names = [name for name in sorted(sealed) if part is None or name.startswith(f"{part}/")][share[0] :: share[1]]
    found = _contents(step, part, set(names))
    for name in names:
        contents = sealed[name]
        if name not in found:
            return f"{step / name} is missing"
        if found[name] != contents:
            return f"{step / name}: {found[name]} where {contents} was written"
    return None


def read_all(step: epath.Path, share: tuple[int, int]) -> None:
    """Reads a share of the files of a checkpoint, as `damage`. Raises what the storage raises if it does not give them."""
    names = [path.relative_to(step).as_posix() for path in _files(step)]
    _contents(step, wanted=set(sorted(names)[share[0] :: share[1]]))


def exists(step: epath.Path) -> bool:
    return (step / _NAME).exists()


def mark(step: epath.Path) -> str | None:
    """Tells a checkpoint from another one of the same step; None for one without a seal."""
    try:
        return fingerprint((step / _NAME).read_bytes().decode(errors="replace"))
    except FileNotFoundError:
        return None


def written(step: epath.Path) -> str | None:
    """Changes when a checkpoint is written again; None for one without a seal. Its seal is asked for, and not read."""
    try:
        found = (step / _NAME).stat()
    except FileNotFoundError:
        return None
    return f"{found.length} {found.mtime}"


def stamp(step: epath.Path) -> str:
    """Changes when a file of a checkpoint folder comes, goes, or is written again; nothing is read."""
    seen = [[str(path), path.stat().length, path.stat().mtime] for path in _files(step)]
    return fingerprint(sorted(seen))


def _contents(step: epath.Path, part: str | None = None, wanted: Collection[str] | None = None) -> dict[str, list]:
    """File name -> [bytes, digest] of all files of a folder, or of one folder in it, but the seal. wanted: of these alone."""
    files = _files(step if part is None else step / part)
    own = {path.relative_to(step).as_posix(): path for path in files if not path.name.startswith(_NAME)}
    names = [name for name in own if wanted is None or name in wanted]
    with ThreadPoolExecutor(
        _READERS
    ) as readers:  # hashing gives the interpreter back, and a bucket answers many at once
        found = readers.map(lambda path: [path.stat().length, _digest(path)], [own[name] for name in names])
        return dict(zip(names, found, strict=True))


def _checked(sealed: Any) -> Mapping[str, list]:
    """Raises ValueError for JSON that is no seal."""
    if not isinstance(sealed, dict) or not all(
        isinstance(found, list) and [type(part) for part in found] == [int, str] for found in sealed.values()
    ):
        raise ValueError("holds no sizes and digests of files")
    return sealed


def _files(folder: epath.Path) -> Iterator[epath.Path]:
    folders = [folder]
    while folders:
        for path in sorted(folders.pop().iterdir()):
            if path.is_dir():
                folders.append(path)
            else:
                yield path


def _digest(path: epath.Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
