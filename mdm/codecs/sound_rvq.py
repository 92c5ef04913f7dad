"""Sound by a pretrained residual quantiser: EnCodec, Mimi and DAC in the layout of transformers, and SNAC.

Letters: N samples, T frames, Q codebooks.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mdm.codecs import fsq, mel, pretrained, storage
from mdm.codecs.codec import Progress, Sound, some
from mdm.problems import Problem, Refusal

_FILES = ("config.json", "model.safetensors")


@dataclasses.dataclass(frozen=True)
class SoundRvqSettings:
    """path: folder with config.json and model.safetensors; codebooks: how many of the first are used, 0 for all there are (SNAC
    has no choice: each of its frames holds a code of the coarsest book and the several of each finer one)."""

    path: str = ""
    codebooks: int = 0

    def problems(self, at: str) -> list[Problem]:
        found = pretrained.path_problems(at, self.path)
        if self.codebooks < 0:
            found.append(Problem(f"{at}.codebooks", self.codebooks, "is negative", "use 0 for all of them"))
        return found


class _Model(Protocol):
    """rate: samples a second; samples: of a frame; books: codes in each codebook; encode: float32 [N], whole frames, to [T, Q];
    decode: int64 [T, Q] to [N]."""

    rate: int
    samples: int
    books: tuple[int, ...]

    def encode(self, sound: np.ndarray) -> np.ndarray: ...

    def decode(self, codes: np.ndarray) -> np.ndarray: ...


class SoundRvq:
    """See the module. Sounds go through the model one by one, so that none depends on the length of another."""

    kind = "rvq-audio"
    modality = "audio"
    learns = False

    def __init__(self, settings: SoundRvqSettings):
        """Raises Refusal for files that are missing, damaged, or of a model that cannot be a codec here."""
        self._settings = settings
        self._files = pretrained.find(Path(settings.path), _FILES)
        try:
            config = json.loads(storage.read_text(self._files[0]))
            kind = "snac" if "vq_strides" in config else config["model_type"]
            if kind not in _MODELS:
                raise ValueError(f"model_type {kind!r} is none of {tuple(_MODELS)}")
            self._model: _Model = _MODELS[kind](Path(settings.path), config)
        except Refusal:
            raise
        except Exception as error:  # transformers, safetensors and torch each have their own
            remedy = "check the folder, or restore it"
            raise Refusal(Problem(settings.path, None, f"holds no model of sound ({error!r})", remedy)) from error
        books = self._model.books
        if settings.codebooks > len(books) or (kind == "snac" and settings.codebooks not in (0, len(books))):
            raise Refusal(Problem("codebooks", settings.codebooks, f"the model has {len(books)}", "use 0 for all"))
        self.codebooks = books[: settings.codebooks or None]

    @property
    def tokens_per_second(self) -> float:
        return self._model.rate / self._model.samples * len(self.codebooks)

    @functools.cached_property
    def fingerprint(self) -> str:
        return pretrained.own_fingerprint(self.kind, self._settings, self._files)

    @classmethod
    def fit(
        cls, media: Sequence[Sound], settings: SoundRvqSettings, *, progress: Progress, state: Path | None
    ) -> SoundRvq:
        """There is nothing to fit."""
        return cls(settings)

    def encode(self, media: Sequence[Sound]) -> list[np.ndarray]:
        return [self._codes(sound, number) for number, sound in enumerate(media)]

    def _codes(self, sound: Sound, number: int) -> np.ndarray:
        try:
            samples = mel.at_rate(sound, self._model.rate).astype(np.float32)
        except Refusal as refusal:
            raise Refusal([dataclasses.replace(p, where=f"sound {number}") for p in refusal.problems]) from refusal
        frames = -(-len(samples) // self._model.samples)
        whole = np.pad(samples, (0, frames * self._model.samples - len(samples)))
        return self._model.encode(whole)[:frames, : len(self.codebooks)].astype(np.int32)

    def decode(self, codes: Sequence[np.ndarray]) -> list[Sound]:
        return [Sound(np.clip(self._samples(own), -1, 1).astype(np.float32), self._model.rate) for own in codes]

    def _samples(self, codes: np.ndarray) -> np.ndarray:
        return self._model.decode(codes.astype(np.int64)) if len(codes) else np.zeros(0)

    def save(self, folder: Path) -> None:
        pretrained.save(folder, self.kind, self._settings, self._files, self.fingerprint)

    @classmethod
    def load(cls, folder: Path) -> SoundRvq:
        codec = cls(pretrained.placed(SoundRvqSettings, folder))
        pretrained.check(folder, codec.fingerprint)
        return codec

    def ceiling(self, held_out: Sequence[Sound]) -> dict[str, float]:
        """mel_l1_db: mean absolute error of the mel bands in decibel; usage of the codes of the first book."""
        codes = self.encode(some(held_out, "ceiling of the audio codec"))
        errors = []
        for sound, back in zip(held_out, self.decode(codes), strict=True):
            wanted, found = mel.log_mel(sound), mel.log_mel(back)
            shared = min(len(wanted), len(found))
            errors.append(np.abs(wanted[:shared] - found[:shared]).ravel())
        used = fsq.usage(np.concatenate(codes)[:, 0], self.codebooks[0])
        error = float(np.concatenate(errors).mean()) * mel.DECIBEL
        return {"mel_l1_db": error, "tokens_per_second": self.tokens_per_second, **used}


class _Transformers:
    """EnCodec, Mimi or DAC. books: configuration -> how many codebooks."""

    def __init__(self, name: str, samples: Callable[[Any], int], books: Callable[[Any], int], path: Path, config: dict):
        self._torch = pretrained.library("torch")
        models = pretrained.library("transformers")
        own = getattr(models, name).from_pretrained(path, local_files_only=True, use_safetensors=True)
        self._own = own.eval()
        for key in ("normalize", "chunk_length_s"):
            if getattr(own.config, key, None):
                reason = "the model keeps a loudness or overlapping chunks beside its codes"
                raise Refusal(Problem(f"{path}: {key}", getattr(own.config, key), reason, "use its 24 kHz sibling"))
        if getattr(own.config, "audio_channels", 1) != 1:
            found = own.config.audio_channels
            raise Refusal(Problem(f"{path}: audio_channels", found, "sounds here are mono", "use a mono model"))
        self.rate, self.samples = int(own.config.sampling_rate), int(samples(own.config))
        self.books = (int(own.config.codebook_size),) * int(books(own.config))
        # EnCodec's default is its narrowest bandwidth, a few of the books.
        self._how = {"bandwidth": own.config.target_bandwidths[-1]} if name == "EncodecModel" else {}
        self._beside = {"audio_scales": [None]} if name == "EncodecModel" else {}

    def encode(self, sound: np.ndarray) -> np.ndarray:
        with self._torch.inference_mode():
            codes = self._own.encode(self._torch.from_numpy(sound)[None, None], **self._how).audio_codes
        return codes.reshape(-1, codes.shape[-1]).numpy().T  # EnCodec's have a dim more, of chunks: one

    def decode(self, codes: np.ndarray) -> np.ndarray:
        whole = self._torch.from_numpy(np.ascontiguousarray(codes.T))[None]
        with self._torch.inference_mode():
            if self._beside:
                return self._own.decode(whole[None], **self._beside).audio_values.reshape(-1).numpy()
            return self._own.decode(audio_codes=whole).audio_values.reshape(-1).numpy()


class _Snac:
    """Books of several rates: a frame is one code of the coarsest, and of each other as many as there are in the same time."""

    def __init__(self, path: Path, config: dict):
        self._torch = pretrained.library("torch")
        self._own = pretrained.library("snac").SNAC(**config).eval()
        self._own.load_state_dict(pretrained.library("safetensors.torch").load_file(path / _FILES[1]))
        strides = self._own.vq_strides
        self._each = [strides[0] // own for own in strides]
        self.rate, self.samples = int(self._own.sampling_rate), int(self._own.hop_length) * strides[0]
        self.books = (int(self._own.codebook_size),) * sum(self._each)

    def encode(self, sound: np.ndarray) -> np.ndarray:
        with self._torch.inference_mode():
            codes = self._own.encode(self._torch.from_numpy(sound)[None, None])
        return np.concatenate([own.reshape(-1, n).numpy() for own, n in zip(codes, self._each, strict=True)], axis=1)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        ends = np.cumsum(self._each)[:-1]
        books = [np.ascontiguousarray(own).reshape(1, -1) for own in np.split(codes, ends, axis=1)]
        # Its decoder adds noise: the same one, so that equal codes sound equal.
        with self._torch.inference_mode(), self._torch.random.fork_rng(devices=[]):
            self._torch.manual_seed(0)
            return self._own.decode([self._torch.from_numpy(own) for own in books]).reshape(-1).numpy()


_MODELS: Mapping[str, Callable[[Path, dict], _Model]] = {
    "encodec": functools.partial(_Transformers, "EncodecModel", lambda c: c.hop_length, lambda c: c.num_quantizers),
    "mimi": functools.partial(
        _Transformers, "MimiModel", lambda c: round(c.sampling_rate / c.frame_rate), lambda c: c.num_quantizers
    ),
    "dac": functools.partial(_Transformers, "DacModel", lambda c: c.hop_length, lambda c: c.n_codebooks),
    "snac": _Snac,
}
