"""Token space: which integer means what.

Ids are laid out as one contiguous block for each *output range* (what a position may be predicted as), then the
special ids, which no position is ever predicted as:

    text | image | audio.0 | audio.1 | ... | [PAD] [MASK] | begin-of-span tokens | task tokens

A range is one codebook of one codec. The output head therefore has exactly `output_size` columns, and the logits of a
position are a slice of them.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping, Sequence

from mdm.fingerprint import fingerprint
from mdm.problems import Problem, Refusal
from mdm.tokens.tasks import TASKS

MODALITIES = ("text", "image", "audio")
ENDING = ("text", "audio")  # modalities whose length is learnt: each of their ranges owns an END symbol
NO_RANGE = -1  # the output range of a special position
PAD, MASK = "[PAD]", "[MASK]"
FORMAT = 1


def begin(modality: str) -> str:
    """Name of the token that opens a span of `modality`."""
    return f"[{modality}]"


def task_token(task: str) -> str:
    """Name of the token that tells the model its task."""
    return f"[task {task}]"


@dataclasses.dataclass(frozen=True)
class OutputRange:
    """A contiguous block of ids that one kind of position can be predicted as.

    symbols: codes of the codec; `size` adds the END symbol, whose id is the last of the range, where there is one.
    """

    name: str
    modality: str
    start: int
    symbols: int
    has_end: bool

    @property
    def size(self) -> int:
        return self.symbols + self.has_end

    @property
    def stop(self) -> int:
        return self.start + self.size

    @property
    def end(self) -> int | None:
        return self.stop - 1 if self.has_end else None


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """Immutable token space. Build it with `Vocabulary.of`, read it back with `Vocabulary.from_json`."""

    ranges: tuple[OutputRange, ...]
    specials: tuple[str, ...]

    @classmethod
    def of(cls, codebooks: Mapping[str, Sequence[int]]) -> Vocabulary:
        """The token space of codecs with these codebook sizes, e.g. {"text": (2048,), "image": (2560,), "audio": (960, 960)}.

        A modality that is left out has no range. Raises Refusal for an unknown modality or an empty codebook.
        """
        problems = [
            Problem(
                f"codebooks of {modality}", sizes, "not a modality with positive codebook sizes", f"use {MODALITIES}"
            )
            for modality, sizes in codebooks.items()
            if modality not in MODALITIES or not sizes or any(int(size) < 1 for size in sizes)
        ]
        if problems:
            raise Refusal(problems)
        ranges, start = [], 0
        for modality in MODALITIES:
            sizes = tuple(codebooks[modality]) if modality in codebooks else ()
            for number, symbols in enumerate(sizes):
                name = modality if len(sizes) == 1 else f"{modality}.{number}"
                ranges.append(OutputRange(name, modality, start, int(symbols), modality in ENDING))
                start = ranges[-1].stop
        specials = (PAD, MASK, *(begin(modality) for modality in MODALITIES), *(task_token(name) for name in TASKS))
        return cls(tuple(ranges), specials)

    @property
    def output_size(self) -> int:
        """Number of ids in output ranges: the columns of the output head."""
        return self.ranges[-1].stop if self.ranges else 0

    @property
    def size(self) -> int:
        """Number of ids: the rows of the input embedding."""
        return self.output_size + len(self.specials)

    @property
    def pad(self) -> int:
        return self.special(PAD)

    @property
    def mask(self) -> int:
        return self.special(MASK)

    @functools.cached_property
    def _special_ids(self) -> dict[str, int]:
        return {name: self.output_size + number for number, name in enumerate(self.specials)}

    @functools.cached_property
    def _ranges_of(self) -> dict[str, tuple[int, ...]]:
        return {m: tuple(i for i, r in enumerate(self.ranges) if r.modality == m) for m in MODALITIES}

    def special(self, name: str) -> int:
        """Id of a special token. Raises Refusal if this vocabulary was written before the token existed."""
        try:
            return self._special_ids[name]
        except KeyError:
            raise Refusal(
                Problem("vocabulary", name, "has no such special token", "prepare the data again with this version")
            ) from None

    def ranges_of(self, modality: str) -> tuple[int, ...]:
        """Indices into `ranges` of a modality's codebooks, in codebook order; empty if it has no codec."""
        return self._ranges_of[modality]

    @functools.cached_property
    def modality_of_range(self) -> tuple[int, ...]:
        """For each range the index of its modality in `MODALITIES`."""
        return tuple(MODALITIES.index(r.modality) for r in self.ranges)

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.to_json())

    def to_json(self) -> dict:
        return {
            "format": FORMAT,
            "ranges": [dataclasses.asdict(r) for r in self.ranges],
            "specials": list(self.specials),
        }

    @classmethod
    def from_json(cls, value: dict, where: str = "vocabulary.json") -> Vocabulary:
        """Reads what `to_json` wrote. Raises Refusal, naming `where`, if it is not a contiguous token space."""
        try:
            if value["format"] != FORMAT:
                raise ValueError(f"format {value['format']!r}, this version reads {FORMAT}")
            vocabulary = cls(tuple(OutputRange(**r) for r in value["ranges"]), tuple(value["specials"]))
            starts = [0, *(r.stop for r in vocabulary.ranges)]
            if [r.start for r in vocabulary.ranges] != starts[:-1]:
                raise ValueError("ranges are not contiguous")
            for r in vocabulary.ranges:
                if r.modality not in MODALITIES or r.symbols < 1 or not isinstance(r.has_end, bool):
                    raise ValueError(f"range {r.name!r} is damaged")
            if len(set(vocabulary.specials)) != len(vocabulary.specials) or not {PAD, MASK} <= set(vocabulary.specials):
                raise ValueError("special tokens are missing or named twice")
        except (KeyError, TypeError, ValueError) as error:
            raise Refusal(
                Problem(where, None, f"is not a vocabulary ({error})", "restore the file, or prepare again")
            ) from error
        return vocabulary

    def dumps(self) -> str:
        return json.dumps(self.to_json(), indent=1)
