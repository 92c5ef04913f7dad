"""WebDataset: tar files, compressed or not, in which members of one name and different endings are one sample."""

from __future__ import annotations

import dataclasses
import io
import json
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from mdm.codecs.codec import Codes, Media
from mdm.data.media import Item, codes_of, document_text, read_image, read_sound, text_of, unreadable, version_of
from mdm.data.readers.compression import DAMAGED, find, opened
from mdm.data.readers.reader import Options, Piece, Reader, broken_off, others
from mdm.fingerprint import fingerprint
from mdm.problems import Problem, Refusal
from mdm.tokens.vocabulary import MODALITIES

MOST_MEMBER = 1 << 28  # bytes
_BLOCK = 1 << 16  # bytes


@dataclasses.dataclass(frozen=True)
class WebDatasetOptions(Options):
    """text, image, audio: endings of the members that hold them, the first that a sample has; none for what the documents do not
    have. An ending of JSON names its field: "json:caption". Codes are read from "npy". split_by: "text", "sample" or a field of
    JSON as above: what stays on one side of the split."""

    text: tuple[str, ...] = ("txt",)
    image: tuple[str, ...] = ("jpg", "jpeg", "png", "webp")
    audio: tuple[str, ...] = ()
    split_by: str = "text"

    @property
    def media(self) -> dict[str, tuple[str, ...]]:
        """modality -> endings."""
        return {m: getattr(self, m) for m in MODALITIES if getattr(self, m)}

    @property
    def wanted(self) -> set[str]:
        """Endings of all members that are read."""
        by = (self.split_by,) if ":" in self.split_by else ()
        return {ending.partition(":")[0] for endings in (*self.media.values(), by) for ending in endings}

    def problems(self, at: str) -> list[Problem]:
        found = super().problems(at)
        if not self.media:
            found.append(Problem(at, None, "names no ending of media", "name one of text, image and audio"))
        if self.split_by not in ("text", "sample") and ":" not in self.split_by:
            remedy = 'use "text", "sample" or "json:FIELD"'
            found.append(Problem(f"{at}.split_by", self.split_by, "unknown", remedy))
        if self.split_by == "text" and not self.text:
            found.append(Problem(f"{at}.split_by", "text", "documents hold no text", 'use "sample"'))
        return found

    @property
    def finer(self) -> str:
        return others(self.split_by, ("text", "sample", "json:FIELD"))


class _Member(tarfile.TarInfo):
    """tarfile takes a damaged header behind the first for the end of the archive: here it is an error."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> tarfile.TarInfo:
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"damaged or cut off at byte {archive.offset}: {error}") from error


class _Beyond(tarfile.ReadError):
    """An archive goes on behind its end: zeros in the place of a header end it, and so does the first of two that were joined."""


def _pieces(name: str, path: Path, options: WebDatasetOptions) -> Iterator[Piece]:
    files = find(path, ".tar")
    if not files:
        raise Refusal(Problem(str(path), None, "holds no .tar file", "check the path"))
    yield from (Piece((file,), version_of(path / file)) for file in files)


def _items(name: str, path: Path, options: WebDatasetOptions, piece: Piece) -> Iterator[Item]:
    (own,) = piece.files
    file = path / own
    last = None
    try:
        with opened(file) as stream:
            for sample in _samples(stream, options.wanted):
                last = sample.name
                yield _item(f"{name}/{own or path.name}/{last}", f"{file}: {last}", sample, options)
    except (tarfile.TarError, *DAMAGED) as error:
        where = f"{file}" if last is None else f"{file} behind {last}"
        if not isinstance(error, _Beyond):
            raise broken_off(where, error) from error
        remedy = "restore the file, or give archives that were joined into one as a file each"
        raise broken_off(where, error, remedy) from error


@dataclasses.dataclass
class _Sample:
    """members: those that are read, by ending, None for one that is too large; endings: of all that there are."""

    name: str
    members: dict[str, bytes | None] = dataclasses.field(default_factory=dict)
    endings: list[str] = dataclasses.field(default_factory=list)


def _samples(stream: BinaryIO, wanted: set[str]) -> Iterator[_Sample]:
    """Each run of members with one name. As for the format's own library, a member without a name before its first dot, or
    without a dot, belongs to no sample."""
    sample = None
    with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Member) as archive:
        for member in archive:
            folder, _, file = member.name.rpartition("/")
            stem, _, ending = file.partition(".")
            if not (member.isfile() and stem and ending):
                continue
            name = f"{folder}/{stem}" if folder else stem
            if sample is None or name != sample.name:
                if sample is not None:
                    yield sample
                sample = _Sample(name)
            sample.endings.append(ending.lower())
            if ending.lower() in wanted:
                small = member.size <= MOST_MEMBER
                sample.members[ending.lower()] = archive.extractfile(member).read() if small else None
        _check_end(archive)
    if sample is not None:
        yield sample


def _check_end(archive: tarfile.TarFile) -> None:
    """Raises _Beyond unless there is nothing but zeros behind the end of an archive that was read to it."""
    while block := archive.fileobj.read(_BLOCK):
        if block.count(0) != len(block):
            raise _Beyond(f"zeros end it at byte {archive.offset}, and more lies behind them")


def _item(key: str, where: str, sample: _Sample, options: WebDatasetOptions) -> Item:
    members = sample.members
    chosen: dict[str, str] = {}
    for modality, endings in options.media.items():
        found = [ending for ending in endings if ending.partition(":")[0] in members]
        if not found:
            remedy = f"name its ending in the source's option {modality}, or remove the sample"
            return unreadable(key, Problem(where, sample.endings, f"has none of {endings}", remedy), options.media)
        chosen[modality] = found[0]
    large = [ending for ending, content in members.items() if content is None]
    if large:
        problem = Problem(f"{where}.{large[0]}", None, f"is over {MOST_MEMBER} bytes", "cut it, or remove the sample")
        return unreadable(key, problem, options.media)
    read = {m: _reader(m, ending, members, where, options) for m, ending in chosen.items()}
    try:
        concept = _concept(key, where, members, chosen, options)
    except Refusal as refusal:
        return unreadable(key, refusal.problems[0], options.media)
    version = fingerprint([concept, *(len(content) for content in members.values())])
    return Item(key, concept, read, version, sum(map(len, members.values())))


def _concept(key: str, where: str, members, chosen: dict[str, str], options: WebDatasetOptions) -> str:
    if options.split_by == "sample":
        return key
    if options.split_by == "text":
        text = _text(chosen["text"], members, where, options)
        return text if isinstance(text, str) else key
    by, at = options.split_by, f"{where}.{options.split_by}"
    if by.partition(":")[0] not in members:
        raise Refusal(Problem(where, sorted(members), f"has no {by} to split by", "add it, or change split_by"))
    value = _field(by, members, at)
    if not isinstance(value, str | int | float):
        remedy = "name a field of a text or a number in split_by"
        raise Refusal(Problem(at, None, f"holds {_JSON[type(value)]}", remedy))
    return document_text(str(value), at, alone=len(options.media) == 1)


def _reader(
    modality: str, ending: str, members: dict[str, bytes], where: str, options: WebDatasetOptions
) -> Callable[[], Media]:
    content, at = members[ending.partition(":")[0]], f"{where}.{ending}"
    if ending == "npy":
        return lambda: _codes(content, at)
    if modality == "text":
        return lambda: _text(ending, members, where, options)
    return lambda: (read_image if modality == "image" else read_sound)(content, at)


def _text(ending: str, members: dict[str, bytes], where: str, options: WebDatasetOptions) -> Media:
    """The text of a member, or of a field of one that is JSON."""
    kind, _, field = ending.partition(":")
    at = f"{where}.{ending}"
    if kind == "npy":
        return _codes(members[kind], at)
    content = _field(ending, members, at) if field else members[kind]
    if not isinstance(content, str | bytes):
        remedy = "name a field of text in the source's option text"
        raise Refusal(Problem(at, None, f"holds {_JSON[type(content)]}", remedy))
    return document_text(content, at, alone=len(options.media) == 1)


def _field(ending: str, members: dict[str, bytes], at: str) -> Any:
    """The value of a field of a member that is JSON."""
    kind, _, field = ending.partition(":")
    try:
        if (value := json.loads(text_of(members[kind], at))[field]) is None:
            raise ValueError(f"{field} is null")
        return value
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Refusal(Problem(at, None, f"is no JSON with that field ({error!r})", "mend the sample")) from error


_JSON = {list: "a list", dict: "an object", bool: "true or false", int: "a number", float: "a number"}
"""What a value of JSON that is no text is called."""


def _codes(content: bytes, where: str) -> Codes:
    try:
        array = np.load(io.BytesIO(content), allow_pickle=False)
    except Exception as error:  # NumPy raises what a damaged or hostile header leads it to
        raise Refusal(Problem(where, None, f"is no array of whole numbers ({error})", "mend the sample")) from error
    return codes_of(array, where)


WEBDATASET = Reader(WebDatasetOptions, _pieces, _items)
