"""The codecs there are. A new one is one entry."""

from __future__ import annotations

from pathlib import Path

from mdm.codecs import storage
from mdm.codecs.audio_fsq import MelFsq, MelFsqSettings
from mdm.codecs.codec import Codec
from mdm.codecs.image_fsq import ImageFsq, ImageFsqSettings
from mdm.codecs.picture_vq import PictureVq, PictureVqSettings
from mdm.codecs.sound_rvq import SoundRvq, SoundRvqSettings
from mdm.codecs.text_bpe import Bpe, BpeSettings
from mdm.codecs.text_bytes import Bytes, BytesSettings
from mdm.codecs.tokenizer import PretrainedTokenizer, TokenizerSettings
from mdm.problems import Problem, Refusal

_SETTINGS = {
    Bpe: BpeSettings,
    Bytes: BytesSettings,
    ImageFsq: ImageFsqSettings,
    MelFsq: MelFsqSettings,
    PictureVq: PictureVqSettings,
    PretrainedTokenizer: TokenizerSettings,
    SoundRvq: SoundRvqSettings,
}
CODECS: dict[str, type[Codec]] = {codec.kind: codec for codec in _SETTINGS}


def load(folder: Path) -> Codec:
    """The codec that was saved in `folder`. Raises Refusal if there is none, or of a kind that this version lacks."""
    kind = storage.description(folder)["kind"]
    if kind not in CODECS:
        where = str(folder / storage.DESCRIPTION)
        raise Refusal(
            Problem(where, kind, "is a kind of codec that this version does not know", f"it has {tuple(CODECS)}")
        )
    return CODECS[kind].load(folder)


def settings_for(kind: str) -> type:
    """The settings dataclass of a kind. Raises Refusal for an unknown one."""
    if kind not in CODECS:
        raise Refusal(Problem("codec", kind, "is not a codec", f"use one of {tuple(CODECS)}"))
    return _SETTINGS[CODECS[kind]]
