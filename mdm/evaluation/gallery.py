"""The gallery: what a model makes, beside the originals and beside what the codecs alone give back."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from absl import logging

from mdm.codecs.codec import Media
from mdm.data.exhibits import Exhibit
from mdm.data.extents import WHOLE, Extent
from mdm.data.regions import parts
from mdm.evaluation.incomplete import refuse_missing
from mdm.problems import Refusal
from mdm.tokens.rows import Document
from mdm.tokens.tasks import TASKS


@dataclasses.dataclass(frozen=True)
class Wing:
    """A part of the gallery.

    task:  of the model
    title: for people
    known: part of the target that is given (`mdm.data.regions`); "" for a whole target to make
    """

    task: str
    title: str
    known: str = ""
    note: str = ""


WINGS = (
    Wing("text-to-image", "Painted from a caption"),
    Wing("text-to-image", "Pictures continued: the upper half is given", "0:0.5"),
    Wing("text-to-speech", "Spoken from a text"),
    Wing("text-to-speech", "Speech continued: the first half is given", "0:0.5"),
    Wing("image-to-text", "Pictures described"),
    Wing("speech-to-text", "Speech written down"),
    Wing("joint-image-text", "Caption and picture, both from nothing"),
    Wing("joint-audio-text", "Text and speech, both from nothing"),
    Wing("text", "Written from nothing"),
    Wing("text", "Prose continued: the first half is given", "0:0.5"),
)


@dataclasses.dataclass(frozen=True, eq=False)
class Piece:
    """split:     of the exhibit, None for what was made from nothing
    original:  the document itself, by modality
    codec:     what the codecs give back of it: no model behind them can do better
    made:      what the model made, by each sampler
    """

    split: str | None
    original: Mapping[str, Media]
    codec: Mapping[str, Media]
    made: Sequence[Mapping[str, Media]]


@dataclasses.dataclass(frozen=True, eq=False)
class Room:
    """The pieces of one wing, of one stream, and how they were made. seconds: for all of them, compilation included."""

    wing: Wing
    stream: str
    pieces: Sequence[Piece]
    samplers: Sequence[Mapping[str, Any]]
    seeds: Sequence[int]
    seconds: float


class Made(Protocol):
    """What is made of some requests."""

    @property
    def documents(self) -> Sequence[Document]: ...


class Maker(Protocol):
    """A trained model with its codecs (`mdm.trained.TrainedModel` is one)."""

    def requests(
        self, task: str, given: Mapping[str, Media], seeds: Sequence[int | None], extent: Extent = WHOLE
    ) -> Sequence[Any]:
        """A request for each of `seeds`, from the same media."""
        ...

    def request(
        self, task: str, given: Mapping[str, Media], seed: int | None = None, extent: Extent = WHOLE
    ) -> Any: ...
    def resolved(self, task: str, sampler: Any) -> Any:
        """A sampler as it is used for a task, with names in place of what stands for one."""
        ...

    def generate(self, requests: Sequence[Any], sampler: Any, seeds: Sequence[int]) -> Made: ...
    def encode(self, modality: str, media: Media) -> Any: ...
    def decode(self, document: Document) -> dict[str, Media]: ...


def show(
    maker: Maker,
    streams: Mapping[str, Sequence[str]],
    exhibits: Callable[[str], Sequence[Exhibit]],
    samplers: Sequence[Mapping[str, Any]],
    most: int,
    excerpt: int,
    seed: int = 0,
) -> list[Room]:
    """A room for every wing and every stream that has its task; at most `most` pieces of each split. What comes from nothing is
    the same for all streams, and shown once.

    streams:  name -> its tasks
    exhibits: name of a stream -> its originals, of both splits
    excerpt:  tokens of prose that are shown, and of which a part is to be filled in: no more than fit in a row
    samplers: one or several times task -> settings of its sampler (a dataclass); equal ones are shown once
    What is refused of one does not keep the others from being shown; raises as `mdm.evaluation.task.run`, with the rooms.
    """
    rooms, problems, missing = [], [], []
    places = [(wing, stream) for wing in WINGS for stream, tasks in streams.items() if wing.task in tasks]
    for wing, stream in places:
        if _from_nothing(wing) and any(room.wing is wing for room in rooms):
            continue
        try:
            own = _chosen(maker, wing, exhibits(stream), most, excerpt)
            if own:
                different = list(dict.fromkeys(maker.resolved(wing.task, table[wing.task]) for table in samplers))
                rooms.append(_room(maker, wing, stream, own, different, seed))
        except Refusal as refusal:
            logging.error("%s of %s is left out: %s", wing.title, stream, refusal)
            problems += refusal.problems
            missing.append(f"{stream}/{wing.title}")
    refuse_missing(problems, rooms, missing)
    return rooms


def _room(
    maker: Maker, wing: Wing, stream: str, own: Sequence[Exhibit | None], samplers: Sequence[Any], seed: int
) -> Room:
    begun = time.monotonic()
    seeds = range(seed, seed + len(own))
    requests = [
        _requests(maker, wing, exhibit, [sampler.room_seed(number) for sampler in samplers])
        for exhibit, number in zip(own, seeds, strict=True)
    ]
    documents = [
        maker.generate(by_sampler, sampler, seeds).documents
        for by_sampler, sampler in zip(zip(*requests, strict=True), samplers, strict=True)
    ]
    pieces = [_piece(maker, exhibit, made) for exhibit, *made in zip(own, *documents, strict=True)]
    seconds = time.monotonic() - begun
    logging.info("%s: %d pieces, %.1f s", wing.title, len(pieces), seconds)
    return Room(wing, stream, pieces, [dataclasses.asdict(one) for one in samplers], tuple(seeds), seconds)


def _from_nothing(wing: Wing) -> bool:
    return not wing.known and not TASKS[wing.task].conditions


def _chosen(maker: Maker, wing: Wing, own: Sequence[Exhibit], most: int, excerpt: int) -> list[Exhibit | None]:
    if _from_nothing(wing):
        return [None] * min(most, 4)  # from nothing
    chosen = []
    for split in dict.fromkeys(exhibit.split for exhibit in own):
        chosen += [exhibit for exhibit in own if exhibit.split == split][:most]
    return [_excerpt(maker, exhibit, excerpt) if set(exhibit.media) == {"text"} else exhibit for exhibit in chosen]


def _excerpt(maker: Maker, exhibit: Exhibit, tokens: int) -> Exhibit:
    codes = maker.encode("text", exhibit.media["text"])[:tokens]
    return dataclasses.replace(exhibit, media=maker.decode({"text": codes}))


def _requests(maker: Maker, wing: Wing, exhibit: Exhibit | None, seeds: Sequence[int | None]) -> Sequence[Any]:
    task = TASKS[wing.task]
    wanted = task.conditions if not wing.known else task.modalities
    given = {m: exhibit.media[m] for m in wanted} if exhibit else {}
    sizes = {m: given[m].shape[:2] if m == "image" else None for m in task.targets} if wing.known else {}
    kept = {m: parts(wing.known, size) for m, size in sizes.items()}
    return maker.requests(wing.task, given, seeds, Extent(kept=kept))


def _piece(maker: Maker, exhibit: Exhibit | None, documents: Sequence[Document]) -> Piece:
    made = [maker.decode(document) for document in documents]
    if exhibit is None:
        return Piece(None, {}, {}, made)
    media = {m: own for m, own in exhibit.media.items() if m != "text"}
    codec = maker.decode({m: maker.encode(m, own) for m, own in media.items()})
    return Piece(exhibit.split, exhibit.media, codec, made)
