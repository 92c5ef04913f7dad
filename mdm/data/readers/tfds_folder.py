"""A data set that TensorFlow Datasets has prepared, in ArrayRecord files, read at random.

It needs no TensorFlow, but for a data set with a feature that TFDS itself cannot build without it, which `Audio` is. Sounds in a
`FeaturesDict` of `array` and `sampling_rate` need none.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from mdm.data.media import Item, size_of, unreadable
from mdm.data.readers.fields import FieldOptions, item_of
from mdm.data.readers.reader import CHUNK, Piece, Reader
from mdm.fingerprint import fingerprint
from mdm.problems import Problem, Refusal


@dataclasses.dataclass(frozen=True)
class TfdsOptions(FieldOptions):
    """split: of the data set (which is not the split into training and held-out documents)."""

    split: str = "train"


@functools.lru_cache(maxsize=8)
def _opened(path: Path, split: str, version: str) -> tuple[Any, Sequence]:
    """(features, records) of a split. version: of its files, so that another data set at the same place is opened anew."""
    builder = tfds.builder_from_directory(path)
    return builder.info.features, builder.as_data_source(split)


def _version(path: Path) -> str:
    return fingerprint([[file.name, size_of(file)] for file in sorted(path.iterdir())])


def _pieces(name: str, path: Path, options: TfdsOptions) -> Iterator[Piece]:
    try:
        version = _version(path)
        features, records = _opened(path, options.split, version)
    except Exception as error:  # TFDS raises what its files, its features and its readers raise
        remedy = "name the folder with dataset_info.json, in ArrayRecord files, and one of its splits"
        if isinstance(error, ImportError):
            remedy = "pip install tensorflow: TFDS needs it to build one of the features (Audio is such a one)"
        raise Refusal(Problem(str(path), options.split, f"cannot be opened by TFDS ({error})", remedy)) from error
    missing = [field for field in options.fields if field not in features]
    if missing:
        raise Refusal(Problem(str(path), sorted(features), f"has no feature {missing}", "name its features"))
    for first in range(0, len(records), CHUNK):
        yield Piece((), version, first, min(first + CHUNK, len(records)))


def _items(name: str, path: Path, options: TfdsOptions, piece: Piece) -> Iterator[Item]:
    features, records = _opened(path, options.split, piece.version)
    for index in range(piece.first, piece.stop):
        number, where = f"{options.split}:{index}", f"{path} {options.split} record {index}"
        try:
            read = records[index]
            record = {field: _value(features[field], read[field]) for field in options.fields}
        except Exception as error:  # as above
            problem = Problem(where, None, f"cannot be read ({error})", "prepare it again with TFDS")
            yield unreadable(f"{name}/{number}", problem, options.media)
            continue
        yield item_of(name, number, where, record, path, options)


def _value(feature: Any, value: Any) -> Any:
    """As `item_of` takes it: texts as strings, sounds with their rate."""
    if isinstance(feature, tfds.features.Audio):
        return {"array": value, "sampling_rate": feature.sample_rate}
    if isinstance(value, bytes) and isinstance(feature, tfds.features.Text):
        return value.decode("utf-8")
    return value


TFDS = Reader(TfdsOptions, _pieces, _items)
