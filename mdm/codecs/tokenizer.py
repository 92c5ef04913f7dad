"""Text by a tokenizer that exists: Hugging Face's JSON, a tiktoken rank file, or a SentencePiece model.

Special tokens are never made from text, and nothing is added to it: document boundaries are this project's own.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import functools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from tokenizers import Tokenizer

from mdm.codecs import pretrained, storage
from mdm.codecs.codec import Progress, some
from mdm.codecs.text_bpe import alphabet
from mdm.codecs.text_bytes import checked
from mdm.problems import Problem, Refusal

FORMATS = ("json", "tiktoken", "sentencepiece")
REVISIONS = {"json": 2, "tiktoken": pretrained.FIRST, "sentencepiece": pretrained.FIRST}
"""Of how texts become codes. Revision 1 of JSON made special tokens from texts that hold their names; codecs that were saved then
stay as they were, since data sets and runs were made with them."""
_NAMES = {"json": "tokenizer.json", "tiktoken": "tokenizer.tiktoken", "sentencepiece": "tokenizer.model|spiece.model"}
_BESIDE = (storage.DESCRIPTION, "fitted.json")  # what else lies in the folder of a codec

# How text is cut before byte pairs are merged; a rank file does not say. Written from the published descriptions: runs of letters
# (with at most one other character before), digits by three, punctuation, and blanks.
PATTERNS = {
    "gpt2": r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "cl100k": r"(?i:'(?:[sdmt]|ll|ve|re))|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+",
}


@dataclasses.dataclass(frozen=True)
class TokenizerSettings:
    """path: its file, or the folder with it; format: one of `FORMATS`; pattern: for tiktoken, a name in `PATTERNS` or a regular
    expression, by which text is cut before it is merged."""

    path: str = ""
    format: str = "json"
    pattern: str = "cl100k"

    def problems(self, at: str) -> list[Problem]:
        found = pretrained.path_problems(at, self.path)
        if self.format not in FORMATS:
            found.append(Problem(f"{at}.format", self.format, "unknown", f"use one of {FORMATS}"))
        return found


class _Engine(Protocol):
    """codes: how many there are; encode: of whole batches; utf8: as of `mdm.codecs.codec.TextCodec`."""

    codes: int

    def encode(self, texts: list[str]) -> list[list[int]]: ...

    def decode(self, codes: list[int]) -> str: ...

    def utf8(self, codes: list[int]) -> bytes: ...


class PretrainedTokenizer:
    """See the module."""

    kind = "tokenizer"
    modality = "text"
    learns = False

    def __init__(self, settings: TokenizerSettings, revision: int | None = None):
        """revision: of `REVISIONS`, the newest if None. Raises Refusal for files that are missing or that are no tokenizer."""
        self._settings = settings
        self._revision = REVISIONS[settings.format] if revision is None else revision
        self._files = pretrained.find(Path(settings.path), (_NAMES[settings.format],))
        try:
            self._engine: _Engine = _ENGINES[settings.format](self._files[0], settings, self._revision)
        except Refusal:
            raise
        except Exception as error:  # each library raises its own, some plain Exception
            reason, remedy = (
                f"is no tokenizer of format {settings.format} ({error})",
                "check format, or restore the file",
            )
            raise Refusal(Problem(str(self._files[0]), None, reason, remedy)) from error
        self.codebooks = (self._engine.codes,)

    @functools.cached_property
    def fingerprint(self) -> str:
        return pretrained.own_fingerprint(self.kind, self._settings, self._files, self._revision)

    @classmethod
    def fit(
        cls, media: Sequence[str], settings: TokenizerSettings, *, progress: Progress, state: Path | None
    ) -> PretrainedTokenizer:
        """There is nothing to fit."""
        return cls(settings)

    def encode(self, media: Sequence[str]) -> list[np.ndarray]:
        return [np.array(own, np.int32) for own in self._engine.encode([checked(text) for text in media])]

    def decode(self, codes: Sequence[np.ndarray]) -> list[str]:
        return [self._engine.decode(own.tolist()) for own in codes]

    def utf8(self, codes: np.ndarray) -> bytes:
        """As `TextCodec`, but for a blank that the codes begin with, where the tokenizer sets one before every text."""
        return self._engine.utf8(codes.tolist())

    def save(self, folder: Path) -> None:
        pretrained.save(folder, self.kind, self._settings, self._files, self.fingerprint, self._revision)

    @classmethod
    def load(cls, folder: Path) -> PretrainedTokenizer:
        settings = pretrained.placed(TokenizerSettings, folder)
        files, revision = pretrained.saved(folder, REVISIONS[settings.format])
        placed = [dataclasses.replace(settings, path=str(file)) for file in files or _unnamed(folder, settings)]
        codec = cls(placed[0] if placed else settings, revision)
        pretrained.check(folder, codec.fingerprint)
        return codec

    def ceiling(self, held_out: Sequence[str]) -> dict[str, float]:
        """bytes_per_token, and the share of texts that come back unchanged: below 1 for a tokenizer that normalises."""
        codes = self.encode(some(held_out, "ceiling of the text codec"))
        total = sum(len(text.encode()) for text in held_out)
        same = sum(back == text for back, text in zip(self.decode(codes), held_out, strict=True))
        return {"bytes_per_token": total / max(1, sum(own.size for own in codes)), "unchanged": same / len(held_out)}


def _unnamed(folder: Path, settings: TokenizerSettings) -> list[Path]:
    """Files of a folder whose description does not name its own: first the one that it was made of, if that is there."""
    recorded = storage.description(folder)["fingerprint"]
    own = lambda file: pretrained.own_fingerprint(PretrainedTokenizer.kind, settings, [file])  # noqa: E731
    files = [file for file in sorted(folder.iterdir()) if file.is_file() and file.name not in _BESIDE]
    return sorted(files, key=lambda file: own(file) != recorded)


class _Json:
    def __init__(self, file: Path, settings: TokenizerSettings, revision: int):
        self._own = Tokenizer.from_str(storage.read_text(file))
        self._own.encode_special_tokens = revision > pretrained.FIRST
        self._own.no_padding()  # a file may ask for both, and a text's codes would follow from its neighbours
        self._own.no_truncation()
        vocabulary = self._own.get_vocab(with_added_tokens=True)
        self.codes = max(vocabulary.values()) + 1
        file_ = json.loads(self._own.to_str())
        unknown = _unknown(file_["model"])
        added = self._own.get_added_tokens_decoder() if revision > pretrained.FIRST else {}
        self._special = {code: own.content for code, own in added.items() if own.special and own.content != unknown}
        described = file_["decoder"] or {"type": None}
        parts = described["decoders"] if described["type"] == "Sequence" else [described]
        kinds = {part["type"] for part in parts}
        self._bytes = (
            {code: _of_alphabet(token) for token, code in vocabulary.items()} if "ByteLevel" in kinds else None
        )
        self._byte_of = _byte_tokens(vocabulary) if "ByteFallback" in kinds else {}

    def encode(self, texts: list[str]) -> list[list[int]]:
        """Raises Refusal for a text of which the model itself makes a special token, as one with all pieces in its vocabulary
        may: nothing switches that off."""
        found = [own.ids for own in self._own.encode_batch(texts, add_special_tokens=False)]
        for number, codes in enumerate(found):
            for code in sorted(self._special.keys() & set(codes)):
                if (name := self._special[code]) in texts[number]:
                    remedy = "take it out of the text, or use another tokenizer"
                    raise Refusal(Problem(f"text {number}", name, "would become a special token", remedy))
        return found

    def decode(self, codes: list[int]) -> str:
        return self._own.decode(codes, skip_special_tokens=False)

    def utf8(self, codes: list[int]) -> bytes:
        if self._bytes is not None:
            return b"".join(self._bytes[code] for code in codes if code in self._bytes)
        return _with_cut_ends(codes, self._byte_of, self.decode)


class _Tiktoken:
    def __init__(self, file: Path, settings: TokenizerSettings, revision: int):
        ranks = {}
        for number, line in enumerate(storage.read_text(file).splitlines(), 1):
            try:
                token, rank = line.split()
                ranks[base64.b64decode(token, validate=True)] = int(rank)
            except (ValueError, binascii.Error) as error:
                raise ValueError(f"line {number} is not TOKEN RANK: {error}") from error
        pattern = PATTERNS[settings.pattern] if settings.pattern in PATTERNS else settings.pattern
        build = pretrained.library("tiktoken").Encoding
        self._own = build("own", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
        self._bytes = {rank: token for token, rank in ranks.items()}
        self.codes = max(self._bytes) + 1

    def encode(self, texts: list[str]) -> list[list[int]]:
        return self._own.encode_ordinary_batch(texts)

    def decode(self, codes: list[int]) -> str:
        """Codes that no token has, as a generator may write them, are left out."""
        return self.utf8(codes).decode("utf-8", errors="replace")

    def utf8(self, codes: list[int]) -> bytes:
        return b"".join(self._bytes[code] for code in codes if code in self._bytes)


class _SentencePiece:
    def __init__(self, file: Path, settings: TokenizerSettings, revision: int):
        self._own = pretrained.library("sentencepiece").SentencePieceProcessor(model_file=str(file))
        self.codes = self._own.get_piece_size()
        self._byte_of = _byte_tokens({self._own.id_to_piece(code): code for code in range(self.codes)})

    def encode(self, texts: list[str]) -> list[list[int]]:
        return self._own.encode(texts, out_type=int)

    def decode(self, codes: list[int]) -> str:
        return self._own.decode(codes)

    def utf8(self, codes: list[int]) -> bytes:
        return _with_cut_ends(codes, self._byte_of, self.decode)


def _unknown(model: Mapping) -> str | None:
    """The token that stands for what has none: it says so of any text, its own name included."""
    if "unk_id" in model:  # of Unigram, whose vocabulary is a list
        return None if model["unk_id"] is None else model["vocab"][model["unk_id"]][0]
    return model["unk_token"] if "unk_token" in model else None


def _of_alphabet(token: str) -> bytes:
    """The bytes of a token of a byte-level vocabulary; a token that was added to it stands for itself."""
    try:
        return bytes(_BYTE_OF[sign] for sign in token)
    except KeyError:
        return token.encode()


_BYTE_OF = {sign: byte for byte, sign in alphabet().items()}


def _byte_tokens(vocabulary: Mapping[str, int]) -> dict[int, int]:
    """Code -> its byte, for tokens such as "<0xE3>", in which characters without a token of their own are written."""
    return {vocabulary[name]: byte for byte in range(256) if (name := f"<0x{byte:02X}>") in vocabulary}


def _with_cut_ends(codes: list[int], byte_of: Mapping[int, int], decode: Callable[[list[int]], str]) -> bytes:
    """UTF-8 of codes whose first and last character may be cut: bytes of those stand as they are, the rest is decoded."""
    own = [byte_of[code] if code in byte_of else None for code in codes]
    start, stop = 0, len(own)
    while start < stop and own[start] is not None and own[start] & 0xC0 == 0x80:
        start += 1
    for size in range(1, min(3, stop - start) + 1):
        first = own[stop - size]
        if first is None or first < 0x80:
            break
        if first >= 0xC0:  # begins a character of 2, 3 or 4 bytes
            stop -= size if size < 2 + (first >= 0xE0) + (first >= 0xF0) else 0
            break
    ends = [bytes(byte for byte in part if byte is not None) for part in (own[:start], own[stop:])]
    return ends[0] + decode(codes[start:stop]).encode() + ends[1]


_ENGINES: dict[str, Callable[[Path, TokenizerSettings, int], _Engine]] = {
    "json": _Json,
    "tiktoken": _Tiktoken,
    "sentencepiece": _SentencePiece,
}
