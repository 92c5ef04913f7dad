"""The survey: a look at the sources before anything is encoded. It tells what kinds of documents the streams hold and gathers
the items that codecs are fitted on, that their ceilings are measured on, and that are kept as exhibits."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence

from absl import logging

from mdm.codecs.codec import Codes, Media
from mdm.data import sources
from mdm.data.manifest import SPLITS
from mdm.data.media import Item
from mdm.data.parts import media_bytes, order_of
from mdm.data.sources import BY_CONCEPT, SourceSettings
from mdm.data.workspace import Task
from mdm.problems import Problem, Refusal, refuse_if
from mdm.tokens.hashing import mix
from mdm.tokens.vocabulary import MODALITIES

# Of a source. A source that holds more is looked at in pieces drawn at random until one of these is reached, in the middle of a
# piece too (a table may be one piece): a codec learns no more from a hundred times the media, and they would not fit in memory.
MOST_ITEMS = 1 << 18
MOST_HELD = 1 << 29  # bytes of undecoded media
MOST_UNFITTED = 1 << 13  # items, where no codec has anything to learn
MOST_DECODED = 1 << 31  # bytes that a codec is fitted on


@dataclasses.dataclass(frozen=True)
class Survey:
    """items: of each (stream, split), in the order of writing; modalities: of each stream; complete: whether that is all; single:
    streams whose drawn documents, as far as they were looked at, are of one concept, and what would divide it."""

    items: Mapping[tuple[str, str], Sequence[Item]]
    modalities: Mapping[str, tuple[str, ...]]
    complete: bool
    single: Mapping[str, str]

    def of(self, modality: str, split: str) -> list[Item]:
        """Items of all streams that hold a modality."""
        return [i for (_, s), own in self.items.items() if s == split for i in own if modality in i.media]

    def media(self, modality: str, split: str, unreadable: Callable[[Item, Refusal], None]) -> Iterator[Media]:
        """Their media, decoded one by one up to MOST_DECODED bytes; those that are codes already teach nothing."""
        size = 0
        for item in self.of(modality, split):
            try:
                media = item.media[modality]()
            except Refusal as refusal:
                unreadable(item, refusal)
                continue
            if isinstance(media, Codes):
                continue
            yield media
            size += media_bytes(media)
            if size > MOST_DECODED:
                return


def survey(
    settings: Mapping[str, SourceSettings],
    tasks: Sequence[Task],
    split_of: Callable[[SourceSettings, str], str],
    seed: int,
    fitted: bool,
    left_out: Mapping[str, Sequence[Problem]],
) -> Survey:
    """split_of: source, concept -> split; fitted: whether a codec has to learn from media; left_out: sources that cannot be had.

    Raises Refusal for sources without a record and for a stream that mixes kinds of documents or, if that shows already, has none
    in a split.
    """
    items = {(source.stream, split): [] for source in settings.values() for split in SPLITS}
    kinds: dict[str, set[tuple[str, ...]]] = {source.stream: set() for source in settings.values()}
    concepts: dict[str, set[str]] = {source.stream: set() for source in settings.values()}
    complete, barren = True, []
    for name, source in settings.items():
        own = sorted((t for t in tasks if t.source == name), key=lambda t: (int(mix(seed, t.number)), t.number))
        count = held = 0
        for item in itertools.chain.from_iterable(sources.items_of(name, source, task.piece) for task in own):
            if count >= (MOST_ITEMS if fitted else MOST_UNFITTED) or held >= MOST_HELD:
                complete = False
                break
            items[source.stream, split_of(source, item.concept)].append(item)
            kinds[source.stream].add(tuple(m for m in MODALITIES if m in item.media))
            if source.side == BY_CONCEPT and len(concepts[source.stream]) < 2:
                concepts[source.stream].add(item.concept)
            count, held = count + 1, held + item.held
        if not count and name not in left_out:
            reason, remedy = "does not hold a single record", "fill it, name another path, or take the source out"
            barren.append(Problem(f"prepare.sources.{name}.path", source.path, reason, remedy))
    refuse_if(barren)
    for stream, found in kinds.items():
        if len(found) > 1:
            remedy = "give each kind its own stream"
            raise Refusal(Problem(f"stream {stream}", sorted(found), "mixes kinds of documents", remedy))
    single = {stream: _finer(settings, stream) for stream, own in concepts.items() if len(own) == 1}
    if complete:
        refuse_empty({place: len(own) for place, own in items.items()}, left_out, single)
    for stream in single:
        logging.warning("stream %s: all documents that were looked at are of one concept, and lie on one side", stream)
    for own in items.values():
        own.sort(key=lambda item: (order_of(seed, item.key), item.key))
    return Survey(items, {stream: next(iter(found), ()) for stream, found in kinds.items()}, complete, single)


def _finer(settings: Mapping[str, SourceSettings], stream: str) -> str:
    """What would divide the one concept of a stream."""
    drawn = {
        name: own.chosen.finer for name, own in settings.items() if own.stream == stream and own.side == BY_CONCEPT
    }
    options = [f"give the source {name} {finer}" for name, finer in drawn.items() if finer]
    return ", or ".join([*options, "add media of other concepts, or say the side of a source"])


def refuse_empty(
    counts: Mapping[tuple[str, str], int], left_out: Mapping[str, Sequence[Problem]], single: Mapping[str, str]
) -> None:
    """Raises Refusal for the first stream without documents in a split, after the sources that were left out. single: as of a
    `Survey`."""
    for (stream, split), count in counts.items():
        if not count:
            reason = "would hold no documents"
            remedy = "add media, change prepare.heldout or prepare.seed, or the side of a source"
            if stream in single:
                reason, remedy = f"{reason}, for all that are drawn are of one concept", single[stream]
            before = [problem for own in left_out.values() for problem in own]
            raise Refusal([*before, Problem(f"stream {stream}", split, reason, remedy)])
