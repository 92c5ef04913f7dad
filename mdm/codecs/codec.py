"""What a codec is: media <-> integers, with a ceiling that no generator behind it can pass."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mdm.problems import Problem, Refusal


@dataclasses.dataclass(frozen=True, eq=False)
class Sound:
    """samples: float32 [n], mono, in [-1, 1]; rate: samples a second."""

    samples: np.ndarray
    rate: int


@dataclasses.dataclass(frozen=True, eq=False)
class Codes:
    """A medium that was encoded elsewhere, by the codec of its modality. codes: int32, as `Codec.encode` would give them."""

    codes: np.ndarray


Media = str | np.ndarray | Sound | Codes
"""Text; a picture, uint8 [H, W, 3]; a sound; or the codes of one of them."""

Progress = Callable[[int, int, dict[str, float]], None]
"""(step, steps, figures) -> None"""


class Codec(Protocol):
    """kind: its name in the registry; modality: one of `MODALITIES`; learns: whether a fit looks at media; codebooks: number of
    codes in each.

    Codes of one medium are int32: text [n], image [rows, columns], audio [frames, codebooks].
    """

    kind: str
    modality: str
    learns: bool
    codebooks: tuple[int, ...]

    @property
    def fingerprint(self) -> str:
        """Of everything that decides which codes a medium gets."""
        ...

    @classmethod
    def fit(cls, media: Sequence[Media], settings: Any, *, progress: Progress, state: Path | None) -> Codec:
        """Makes the codec. A fit that was interrupted continues, bit for bit, from the file `state`."""
        ...

    def encode(self, media: Sequence[Media]) -> list[np.ndarray]:
        """Codes of each medium; what a medium gets does not depend on its neighbours. Raises Refusal for unusable media."""
        ...

    def decode(self, codes: Sequence[np.ndarray]) -> list[Media]:
        """Media of codes, whatever codes they are: a generator may write any."""
        ...

    def save(self, folder: Path) -> None: ...

    @classmethod
    def load(cls, folder: Path) -> Codec:
        """What `save` wrote. Raises Refusal naming the file that is missing or damaged."""
        ...

    def ceiling(self, held_out: Sequence[Media]) -> dict[str, float]:
        """How well media that the fit did not see come back."""
        ...


class TextCodec(Codec, Protocol):
    """A codec of text."""

    def utf8(self, codes: np.ndarray) -> bytes:
        """The UTF-8 bytes that codes stand for, also where these begin or end inside a character, as pieces of a text may."""
        ...


class SoundCodec(Codec, Protocol):
    """A codec of sound, whose codes come at one rate."""

    @property
    def tokens_per_second(self) -> float: ...


def encode(codec: Codec, media: Sequence[Media]) -> list[np.ndarray]:
    """Codes of each medium, by the codec or as they were given. Raises Refusal for codes that the codec could not have made."""
    unencoded = [medium for medium in media if not isinstance(medium, Codes)]
    own = iter(codec.encode(unencoded) if unencoded else ())
    return [_checked(codec, medium.codes) if isinstance(medium, Codes) else next(own) for medium in media]


def _checked(codec: Codec, codes: np.ndarray) -> np.ndarray:
    books, dims = codec.codebooks, 1 if codec.modality == "text" else 2
    if codec.modality == "audio" and codes.ndim == 1 and len(books) == 1:
        codes = codes[:, None]
    columns = codes[..., None] if codec.modality != "audio" else codes
    if codes.ndim != dims or columns.shape[-1] != len(books):
        wanted = {"text": "[n]", "image": "[rows, columns]", "audio": f"[frames, {len(books)}]"}[codec.modality]
        raise Refusal(Problem("codes", codes.shape, f"are not {wanted} codes of {codec.kind}", "mend or remove them"))
    if codes.size and (codes.min() < 0 or (columns.reshape(-1, len(books)).max(axis=0) >= np.array(books)).any()):
        found, remedy = (int(codes.min()), int(codes.max())), "they were made by another codec: name that one"
        raise Refusal(Problem("codes", found, f"lie outside of the codebooks {books} of {codec.kind}", remedy))
    return codes.astype(np.int32)


def some(media: Sequence[Media], what: str) -> Sequence[Media]:
    """`media` themselves. Raises Refusal, naming `what` they are for, if there are none."""
    if not media:
        raise Refusal(Problem(what, 0, "there are no media", "give at least one that can be read"))
    return media
