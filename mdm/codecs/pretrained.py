"""What adapters to pretrained codecs share: files that are copied beside the data, and libraries that come with an extra.

Nothing is fetched: weights are read from a path, and what is missing there is named. No pickle and no code of a checkpoint is
ever read: weights are safetensors, tokenizers are JSON, text or protocol buffers.
"""

from __future__ import annotations

import dataclasses
import importlib
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

from mdm import atomic
from mdm.codecs import storage
from mdm.fingerprint import file_digest, fingerprint
from mdm.problems import Problem, Refusal, refuse_if

HERE = "."  # the path of weights that lie in the codec's own folder
FIRST = 1  # revision, which no fingerprint names
_AGAIN = "restore the files, or prepare again"


def library(name: str) -> ModuleType:
    """A module of the extra `codecs`. Raises Refusal, naming the extra, where it is not installed."""
    try:
        return importlib.import_module(name)
    except (ImportError, OSError) as error:
        remedy = "pip install 'mdm[codecs]'"
        raise Refusal(Problem("codec", name, f"cannot be imported ({error})", remedy)) from error


def path_problems(at: str, path: str) -> list[Problem]:
    """What is wrong with the path of a pretrained codec."""
    if not path:
        return [Problem(f"{at}.path", None, "is not given", "name the file or folder with its weights")]
    if path != HERE and not Path(path).exists():
        return [Problem(f"{at}.path", path, "does not exist", "name the file or folder with its weights")]
    return []


def find(path: Path, names: tuple[str, ...]) -> list[Path]:
    """The files that a codec is made of: `path` itself, or those of `names` in the folder. Raises Refusal naming what is not
    there; a name with alternatives is written "a|b"."""
    if path.is_file():
        return [path]
    found, missing = [], []
    for name in names:
        present = [path / own for own in name.split("|") if (path / own).is_file()]
        found += present[:1]
        missing += [] if present else [name.replace("|", " or ")]
    remedy = "copy it there from where the codec was published"
    refuse_if(Problem(str(path), None, f"has no {name}", remedy) for name in missing)
    return found


def own_fingerprint(kind: str, settings: Any, files: list[Path], revision: int = FIRST) -> str:
    """Of a codec that is settings and files, wherever these lie. revision: of how it makes codes from them."""
    value = dataclasses.asdict(settings) | {"path": HERE}
    later = [] if revision == FIRST else [revision]
    return fingerprint([kind, value, [[file.name, file_digest(file)] for file in files], *later])


def save(folder: Path, kind: str, settings: Any, files: list[Path], own: str, revision: int = FIRST) -> None:
    """Copies the files into `folder`, so that it is enough to run the codec, and describes them."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        if (folder / file.name).resolve() != file.resolve():
            with atomic.replacing(folder / file.name) as temporary:
                shutil.copyfile(file, temporary)
    names = [file.name for file in files]
    storage.describe(folder, kind, dataclasses.replace(settings, path=HERE), own, files=names, revision=revision)


def saved(folder: Path, newest: int) -> tuple[list[Path], int]:
    """(files, revision) of what `save` wrote; no files where an earlier version wrote it, which did not name them.

    Raises Refusal for names that lead out of the folder and for a revision above `newest`.
    """
    value, where = storage.description(folder), str(folder / storage.DESCRIPTION)
    if "files" not in value:
        return [], FIRST
    names, revision = value["files"], value["revision"] if "revision" in value else None
    if not isinstance(names, list) or not all(isinstance(own, str) and _plain(own) for own in names):
        raise Refusal(Problem(f"{where}: files", names, "are not names of files in this folder", _AGAIN))
    if revision not in range(FIRST, newest + 1):
        remedy = "use the version of this software that wrote it, or prepare again"
        raise Refusal(
            Problem(f"{where}: revision", revision, f"is none that this version knows, up to {newest}", remedy)
        )
    return [folder / own for own in names], revision


def _plain(name: str) -> bool:
    return name not in ("", "..") and Path(name).name == name


def placed(settings_kind: type, folder: Path) -> Any:
    """The settings of a codec that `save` wrote, with the path of its folder."""
    return dataclasses.replace(storage.settings_of(settings_kind, folder), path=str(folder))


def check(folder: Path, own: str) -> None:
    """Raises Refusal if the files in `folder` are not those that were described."""
    recorded = storage.description(folder)["fingerprint"]
    if own != recorded:
        raise Refusal(Problem(str(folder), own, f"does not belong to its codec.json ({recorded})", _AGAIN))
