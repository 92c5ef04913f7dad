"""Documents that are codes already, in NumPy arrays that are mapped, never loaded whole."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mdm.data.media import Item, codes_of, unreadable, version_of
from mdm.data.opened import too_many
from mdm.data.readers.reader import CHUNK, Options, Piece, Reader
from mdm.fingerprint import fingerprint
from mdm.problems import Problem, Refusal
from mdm.tokens.vocabulary import MODALITIES

_LENGTHS = ".lengths.npy"
_LOOK = 1 << 20  # codes of a row that are searched for an end at once
DIMS = {"text": 1, "image": 2, "audio": 2}


@dataclasses.dataclass(frozen=True)
class ArrayOptions(Options):
    """modality: of the codes, whose codec must be the one that made them; end: the code behind each document of an .npy file of
    one row, -1 where NAME.lengths.npy beside NAME.npy tells how long each document is. Files with a leading dim for the
    documents need neither.

    Codes of text are [n], of pictures [rows, columns], of sound [frames, codebooks].
    """

    modality: str = "text"
    end: int = -1

    def problems(self, at: str) -> list[Problem]:
        found = super().problems(at)
        if self.modality not in MODALITIES:
            found.append(Problem(f"{at}.modality", self.modality, "unknown", f"use one of {MODALITIES}"))
        if self.end >= 0 and self.modality != "text":
            found.append(Problem(f"{at}.end", self.end, "only texts have an end code", "set it to -1"))
        return found


def _pieces(name: str, path: Path, options: ArrayOptions) -> Iterator[Piece]:
    """Runs of CHUNK documents; a piece begins at row `offset` of its array."""
    files = [""] if path.is_file() else sorted(
        file.relative_to(path).as_posix() for file in path.rglob("*.npy") if not file.name.endswith(_LENGTHS)
    )  # fmt: skip
    if not files:
        raise Refusal(Problem(str(path), None, "holds no .npy file", "check the path"))
    for own in files:
        file = path / own
        array, lengths = _array(file), _lengths(file)
        version = version_of(file) if lengths is None else fingerprint([version_of(file), version_of(_beside(file))])
        dims = DIMS[options.modality]
        if array.ndim == dims + 1:
            for first in range(0, len(array), CHUNK):
                yield Piece((own,), version, first, min(first + CHUNK, len(array)), first)
        elif array.ndim == dims and lengths is not None and int(lengths.sum()) == len(array):
            starts = np.concatenate([[0], np.cumsum(lengths)])
            for first in range(0, len(lengths), CHUNK):
                yield Piece((own,), version, first, min(first + CHUNK, len(lengths)), int(starts[first]))
        elif array.ndim == dims and options.end >= 0:
            yield Piece((own,), version)
        else:
            reason = f"is not {dims + 1}-dimensional, and neither its lengths nor the code at an end are known"
            if lengths is not None:
                reason = f"has {len(array)} rows, but its lengths sum up to {int(lengths.sum())}"
            raise Refusal(Problem(str(file), array.shape, reason, f"see ArrayOptions; lengths lie in NAME{_LENGTHS}"))


def _items(name: str, path: Path, options: ArrayOptions, piece: Piece) -> Iterator[Item]:
    (own,) = piece.files
    file = path / own
    array, lengths = _array(file), _lengths(file)
    if array.ndim == DIMS[options.modality] + 1:
        bounds = ((row, row + 1) for row in range(piece.first, piece.stop))
    elif lengths is not None:
        ends = piece.offset + np.cumsum(lengths[piece.first : piece.stop])
        bounds = zip([piece.offset, *ends[:-1].tolist()], ends.tolist(), strict=True)
    else:
        bounds = _between(array, options.end)
    for number, (start, stop) in enumerate(bounds, piece.first):
        key, where = f"{name}/{own or path.name}:{number}", f"{file} document {number}"
        if start == stop:
            yield unreadable(key, Problem(where, None, "holds no codes", "remove it"), (options.modality,))
            continue
        rows = start if array.ndim > DIMS[options.modality] else slice(start, stop)
        yield Item(key, key, {options.modality: lambda r=rows, w=where: codes_of(_array(file)[r], w)}, "")


def _between(array: np.ndarray, end: int) -> Iterator[tuple[int, int]]:
    """Bounds of the runs between end codes; what follows the last one is a document too."""
    start = 0
    for at in range(0, len(array), _LOOK):
        for place in (at + np.flatnonzero(array[at : at + _LOOK] == end)).tolist():
            yield start, place
            start = place + 1
    if start < len(array):
        yield start, len(array)


def _array(file: Path) -> np.ndarray:
    """A file, mapped. An item keeps its name and not the array: each that is mapped is a file that the process has open."""
    try:
        found = file.stat()
        return _mapped(file, found.st_mtime_ns, found.st_size)
    except (OSError, ValueError, EOFError) as error:
        limit = too_many(error, file) if isinstance(error, OSError) else None
        damaged = Problem(str(file), None, f"is no array of whole numbers ({error})", "mend or remove it")
        raise Refusal(limit or damaged) from error


@functools.lru_cache(maxsize=8)
def _mapped(file: Path, _changed: int, _size: int) -> np.ndarray:
    array = np.load(file, mmap_mode="r", allow_pickle=False)
    if array.dtype.kind not in "iu":
        raise ValueError(f"dtype {array.dtype}")
    return array


def _beside(file: Path) -> Path:
    return file.with_name(file.name.removesuffix(".npy") + _LENGTHS)


def _lengths(file: Path) -> np.ndarray | None:
    return _array(_beside(file)).astype(np.int64) if _beside(file).exists() else None


ARRAYS = Reader(ArrayOptions, _pieces, _items)
