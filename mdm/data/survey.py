"""The survey: a look at the sources before anything is encoded. It tells what kinds of documents the streams hold and gathers
the items that codecs are fitted on, that their ceilings are measured on, and that are kept as exhibits."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence

from mdm.codecs.codec import Codes, Media
from mdm.data import sources
from mdm.data.manifest import SPLITS
from mdm.data.media import Item
from mdm.data.parts import media_bytes, order_of
from mdm.data.sources import SourceSettings
from mdm.data.workspace import Task
from mdm.problems import Problem, Refusal
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
    """items: of each (stream, split), in the order of writing; modalities: of each stream; complete: whether that is all."""

    items: Mapping[tuple[str, str], Sequence[Item]]
    modalities: Mapping[str, tuple[str, ...]]
    complete: bool

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
    left_out: Sequence[Problem],
) -> Survey:
    """split_of: source, concept -> split; fitted: whether a codec has to learn from media; left_out: sources that cannot be had.

    Raises Refusal for a stream that mixes kinds of documents or, if that shows already, has none in a split.
    """
    items = {(source.stream, split): [] for source in settings.values() for split in SPLITS}
    kinds: dict[str, set[tuple[str, ...]]] = {source.stream: set() for source in settings.values()}
    complete = True
    for name, source in settings.items():
        own = sorted((t for t in tasks if t.source == name), key=lambda t: (int(mix(seed, t.number)), t.number))
        count = held = 0
        for item in itertools.chain.from_iterable(sources.items_of(name, source, task.piece) for task in own):
            if count >= (MOST_ITEMS if fitted else MOST_UNFITTED) or held >= MOST_HELD:
                complete = False
                break
            items[source.stream, split_of(source, item.concept)].append(item)
            kinds[source.stream].add(tuple(m for m in MODALITIES if m in item.media))
            count, held = count + 1, held + item.held
    for stream, found in kinds.items():
        if len(found) > 1:
            remedy = "give each kind its own stream"
            raise Refusal(Problem(f"stream {stream}", sorted(found), "mixes kinds of documents", remedy))
    if complete:
        refuse_empty({place: len(own) for place, own in items.items()}, left_out)
    for own in items.values():
        own.sort(key=lambda item: (order_of(seed, item.key), item.key))
    return Survey(items, {stream: next(iter(found), ()) for stream, found in kinds.items()}, complete)


def refuse_empty(counts: Mapping[tuple[str, str], int], left_out: Sequence[Problem]) -> None:
    """Raises Refusal for the first stream without documents in a split, after the sources that were left out."""
    for (stream, split), count in counts.items():
        if not count:
            remedy = "add media, change prepare.heldout or prepare.seed, or the side of a source"
            raise Refusal([*left_out, Problem(f"stream {stream}", split, "would hold no documents", remedy)])
