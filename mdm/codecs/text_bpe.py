"""Byte-level BPE, trained and run by `tokenizers`: any UTF-8 string comes back as it was."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from mdm.codecs import storage
from mdm.codecs.codec import Progress, some
from mdm.codecs.text_bytes import checked
from mdm.fingerprint import fingerprint
from mdm.problems import Problem, Refusal

_FILE = "tokenizer.json"
_MERGES_OF = 1 << 20  # characters of a document that are looked at in one piece


@dataclasses.dataclass(frozen=True)
class BpeSettings:
    """vocabulary: codes, at least the 256 bytes; fewer if the media do not hold so many pairs."""

    vocabulary: int = 2048

    def problems(self, at: str) -> list[Problem]:
        if not 256 <= self.vocabulary <= 1_000_000:
            return [
                Problem(f"{at}.vocabulary", self.vocabulary, "outside [256, 1000000]", "2048 suits a small data set")
            ]
        return []


class Bpe:
    """See the module. Spaces belong to the word behind them, as in GPT-2; nothing is normalised."""

    kind = "bpe"
    modality = "text"
    learns = True

    def __init__(self, settings: BpeSettings, tokenizer: Tokenizer):
        self._settings, self._tokenizer = settings, tokenizer
        self.codebooks = (tokenizer.get_vocab_size(),)
        pieces = [tokenizer.id_to_token(code) for code in range(self.codebooks[0])]
        byte_of = {character: byte for byte, character in alphabet().items()}
        self._bytes = [bytes(byte_of[character] for character in piece) for piece in pieces]

    @property
    def fingerprint(self) -> str:
        return fingerprint([self.kind, self._tokenizer.to_str()])

    @classmethod
    def fit(cls, media: Sequence[str], settings: BpeSettings, *, progress: Progress, state: Path | None) -> Bpe:
        """Trains in seconds, so there is nothing to continue."""
        some(media, "fit of the text codec")
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=settings.vocabulary,
            initial_alphabet=sorted(alphabet().values()),
            special_tokens=[],
            show_progress=False,
        )
        pieces = (text[at : at + _MERGES_OF] for text in media for at in range(0, len(text), _MERGES_OF))
        tokenizer.train_from_iterator(pieces, trainer)
        progress(1, 1, {"codes": float(tokenizer.get_vocab_size())})
        return cls(settings, tokenizer)

    def encode(self, media: Sequence[str]) -> list[np.ndarray]:
        encodings = self._tokenizer.encode_batch([checked(text) for text in media])
        return [np.array(encoding.ids, np.int32) for encoding in encodings]

    def decode(self, codes: Sequence[np.ndarray]) -> list[str]:
        """Bytes that are no UTF-8, as a generator may write them, become U+FFFD."""
        return [self.utf8(own).decode("utf-8", errors="replace") for own in codes]

    def utf8(self, codes: np.ndarray) -> bytes:
        return b"".join(self._bytes[code] for code in codes.tolist())

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _FILE).write_text(self._tokenizer.to_str(), encoding="utf-8")
        storage.describe(folder, self.kind, self._settings, self.fingerprint)

    @classmethod
    def load(cls, folder: Path) -> Bpe:
        settings = storage.settings_of(BpeSettings, folder)
        path = folder / _FILE
        try:
            codec = cls(settings, Tokenizer.from_str(storage.read_text(path)))
        except Exception as error:  # tokenizers raises plain Exception
            remedy = "restore the file, or fit the codec again"
            raise Refusal(Problem(str(path), None, f"is not a byte-level BPE ({error})", remedy)) from error
        recorded = storage.description(folder)["fingerprint"]
        if codec.fingerprint != recorded:
            raise Refusal(
                Problem(str(path), codec.fingerprint, f"does not belong to codec.json ({recorded})", "fit again")
            )
        return codec

    def ceiling(self, held_out: Sequence[str]) -> dict[str, float]:
        """bytes_per_token, and the share of texts that come back unchanged (1, or there is a fault)."""
        codes = self.encode(some(held_out, "ceiling of the text codec"))
        total = sum(len(text.encode()) for text in held_out)
        same = sum(back == text for back, text in zip(self.decode(codes), held_out, strict=True))
        return {"bytes_per_token": total / sum(own.size for own in codes), "unchanged": same / len(held_out)}


def alphabet() -> dict[int, str]:
    """Byte -> the printable character that stands for it in a byte-level vocabulary: itself where it is printable Latin-1,
    else the next free one from U+0100 on."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + rank) for rank, byte in enumerate(others)}
