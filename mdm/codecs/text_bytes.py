"""Text as its UTF-8 bytes: 256 codes, nothing to fit."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mdm.codecs import storage
from mdm.codecs.codec import Progress
from mdm.problems import Problem, Refusal


@dataclasses.dataclass(frozen=True)
class BytesSettings:
    """There are none."""

    def problems(self, at: str) -> list[Problem]:
        return []


class Bytes:
    """See the module."""

    kind = "bytes"
    modality = "text"
    learns = False
    codebooks = (256,)
    fingerprint = "bytes"

    @classmethod
    def fit(cls, media: Sequence[str], settings: BytesSettings, *, progress: Progress, state: Path | None) -> Bytes:
        return cls()

    def encode(self, media: Sequence[str]) -> list[np.ndarray]:
        return [np.frombuffer(checked(text).encode(), np.uint8).astype(np.int32) for text in media]

    def decode(self, codes: Sequence[np.ndarray]) -> list[str]:
        return [self.utf8(own).decode("utf-8", errors="replace") for own in codes]

    def utf8(self, codes: np.ndarray) -> bytes:
        return bytes(codes.astype(np.uint8))

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        storage.describe(folder, self.kind, BytesSettings(), self.fingerprint)

    @classmethod
    def load(cls, folder: Path) -> Bytes:
        storage.settings_of(BytesSettings, folder)
        return cls()

    def ceiling(self, held_out: Sequence[str]) -> dict[str, float]:
        return {"bytes_per_token": 1.0}


def checked(text: str) -> str:
    """`text` itself. Raises Refusal for what is no text, is empty or has no UTF-8 form (lone surrogates)."""
    if not isinstance(text, str):
        raise Refusal(Problem("text", type(text).__name__, "is not text", "give a string"))
    if not text:
        raise Refusal(Problem("text", text, "is empty", "remove the record"))
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Refusal(Problem("text", text[:40], f"has no UTF-8 form ({error})", "mend or remove it")) from error
    return text
