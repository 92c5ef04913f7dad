"""Sound as FSQ codes of its log-mel frames: a one-dimensional convolutional autoencoder; Griffin-Lim gives the sound back.

Letters: B sounds, T mel frames, M mel bands, G code frames (T / stride), Q quantised dims of all books.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging

from mdm.codecs import fsq, layers, mel, recognition, storage
from mdm.codecs.codec import Progress, Sound, some
from mdm.codecs.fitting import MOST_BLOCKS, fit
from mdm.problems import Problem, Refusal
from mdm.tokens.hashing import mix

MARGIN = 16  # frames of silence behind every sound before it is encoded: more than the encoder sees
_FRAMES_AT_ONCE = 4096  # mel frames in a batch
_LEAST_BUCKET = 64
_MOST_HEARD = 40  # sounds that a recogniser listens to: about half a second each
_NEAR = (5,)


@dataclasses.dataclass(frozen=True)
class MelFsqSettings:
    """books: FSQ levels of each codebook of a code frame; stride: mel frames (of 20 ms) a code frame, so that there are
    50 / stride * len(books) tokens a second; width: channels; blocks: residual blocks each way; crop: mel frames of a
    training example."""

    books: tuple[tuple[int, ...], ...] = ((8, 8, 6, 5), (8, 8, 6, 5))
    stride: int = 2
    width: int = 160
    blocks: int = 3
    steps: int = 3000
    batch_size: int = 32
    crop: int = 64
    learning_rate: float = 1.5e-3
    seed: int = 0

    def problems(self, at: str) -> list[Problem]:
        found = [
            Problem(f"{at}.{key}", getattr(self, key), "must be positive", "see MelFsqSettings")
            for key in ("stride", "width", "blocks", "steps", "batch_size", "crop", "learning_rate")
            if not getattr(self, key) > 0
        ]
        if self.blocks > MOST_BLOCKS:
            found.append(Problem(f"{at}.blocks", self.blocks, f"over {MOST_BLOCKS}", "see MelFsqSettings"))
        if not self.books or any(not own or min(own) < 2 or fsq.size(own) > 65_536 for own in self.books):
            found.append(
                Problem(f"{at}.books", self.books, "a level below 2, or over 65,536 codes", "((8, 8, 6, 5),) is usual")
            )
        if not found and (self.crop % self.stride or _LEAST_BUCKET % self.stride):
            found.append(
                Problem(f"{at}.stride", self.stride, f"no divisor of {_LEAST_BUCKET} and crop", "use 1, 2 or 4")
            )
        return found

    @property
    def levels(self) -> tuple[int, ...]:
        """Of all books, one after the other."""
        return tuple(level for own in self.books for level in own)


class MelFsq:
    """See the module."""

    kind = "mel-fsq"
    modality = "audio"
    learns = True

    def __init__(self, settings: MelFsqSettings, parameters: dict):
        """parameters: of the network, with `mean` and `deviation` [M] of the mel bands of the media it was fitted on."""
        self._settings = settings
        self._parameters = jax.tree.map(np.asarray, parameters)
        self.codebooks = tuple(map(fsq.size, settings.books))

    @functools.cached_property
    def fingerprint(self) -> str:
        return storage.arrays_fingerprint(self.kind, self._settings, layers.flatten(self._parameters))

    @property
    def tokens_per_second(self) -> float:
        return mel.RATE / mel.HOP / self._settings.stride * len(self.codebooks)

    @classmethod
    def fit(cls, media: Sequence[Sound], settings: MelFsqSettings, *, progress: Progress, state: Path | None) -> MelFsq:
        some(media, "fit of the audio codec")
        frames = [_log_mel(sound, number) for number, sound in enumerate(media)]
        every = np.concatenate(frames)
        scale = {"mean": every.mean(axis=0), "deviation": np.maximum(every.std(axis=0), 0.1)}
        silence = (np.log(mel.FLOOR).astype(np.float32) - scale["mean"]) / scale["deviation"]
        crop = settings.crop
        # Crops begin up to half of one before the sound and end as far behind it: edges are learnt like everything else.
        margins = [np.tile(silence, (crop // 2, 1))] * 2
        padded = [
            np.concatenate([margins[0], (own - scale["mean"]) / scale["deviation"], margins[1]]) for own in frames
        ]
        lengths = np.array([len(own) for own in padded])
        line = np.concatenate(padded)
        starts = np.concatenate([[0], np.cumsum(lengths)])
        identity = storage.arrays_fingerprint(cls.kind, settings, {"line": line, "lengths": lengths})
        chances = np.cumsum(lengths - crop + 1)

        def batch(step: int) -> np.ndarray:
            """Crops, each place of each sound equally likely: a function of (seed, step) alone."""
            draws = mix(settings.seed, step, np.arange(settings.batch_size)) % np.uint64(chances[-1])
            draws = draws.astype(np.int64)
            sound = np.searchsorted(chances, draws, side="right")
            begin = starts[sound] + draws - np.concatenate([[0], chances])[sound]
            return line[begin[:, None] + np.arange(crop)]

        def loss(parameters: dict, part: jax.Array) -> jax.Array:
            values, _ = fsq.quantise(_encode(parameters, part, settings.stride), settings.levels)
            return jnp.mean(jnp.abs(_decode(parameters, values, settings.stride) - part))

        start, rate = _parameters(settings), settings.learning_rate
        fitted = fit(loss, start, batch, settings.steps, rate, progress, state, identity)
        return cls(settings, fitted | {name: value.astype(np.float32) for name, value in scale.items()})

    def encode(self, media: Sequence[Sound]) -> list[np.ndarray]:
        frames = [_log_mel(sound, number) for number, sound in enumerate(media)]
        silence = np.full((MARGIN, mel.BANDS), np.log(mel.FLOOR), np.float32)
        whole = [np.concatenate([own, silence]) for own in frames]
        codes = _in_buckets(lambda part: _codes(self._parameters, part, self._settings), whole, np.log(mel.FLOOR), 1)
        return [own[: -(-len(f) // self._settings.stride)] for own, f in zip(codes, frames, strict=True)]

    def decode(self, codes: Sequence[np.ndarray]) -> list[Sound]:
        return [mel.to_sound(frames) for frames in self._mels(codes)]

    def _mels(self, codes: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Log-mel frames [T, M] of codes [G, books]."""
        stride = self._settings.stride
        found = _in_buckets(lambda part: _restore(self._parameters, part, self._settings), codes, 0, stride)
        return [own[: len(c) * stride] for own, c in zip(found, codes, strict=True)]

    def save(self, folder: Path) -> None:
        storage.save(folder, self.kind, self._settings, layers.flatten(self._parameters))

    @classmethod
    def load(cls, folder: Path) -> MelFsq:
        bands = jax.ShapeDtypeStruct((mel.BANDS,), jnp.float32)
        scale = {"mean": bands, "deviation": bands}
        like = lambda settings: jax.eval_shape(lambda: _parameters(settings)) | scale  # noqa: E731
        return cls(*storage.load(folder, cls.kind, MelFsqSettings, like))

    def ceiling(self, held_out: Sequence[Sound]) -> dict[str, float]:
        """mel_l1_db: mean absolute error of the mel bands in decibel; usage of the codes of the first book.

        wer_to_original, if the extra `scorers` is installed: word error rate of what a recogniser hears in the decoded
        sounds, against what it hears in the originals: what the codec costs, without the recogniser's own errors.
        """
        some(held_out, "ceiling of the audio codec")
        frames = [mel.log_mel(sound) for sound in held_out]
        codes = self.encode(held_out)
        errors = [np.abs(back[: len(own)] - own).ravel() for back, own in zip(self._mels(codes), frames, strict=True)]
        used = fsq.usage(np.concatenate(codes)[:, 0], self.codebooks[0])
        return {
            "mel_l1_db": float(np.concatenate(errors).mean()) * mel.DECIBEL,
            "tokens_per_second": self.tokens_per_second,
            **used,
            **self._word_error(held_out, codes),
        }

    def _word_error(self, held_out: Sequence[Sound], codes: Sequence[np.ndarray]) -> dict[str, float]:
        if not recognition.available():
            logging.info("the word error rate of the codec is not measured: pip install 'mdm[scorers]'")
            return {}
        original = recognition.transcribe(held_out[:_MOST_HEARD])
        decoded = recognition.transcribe(self.decode(codes[:_MOST_HEARD]))
        return {"wer_to_original": recognition.word_error_rate(original, decoded)}


def _log_mel(sound: Sound, number: int) -> np.ndarray:
    """Names the sound, whose file the caller knows, in what it refuses."""
    try:
        return mel.log_mel(sound)
    except Refusal as refusal:
        raise Refusal([dataclasses.replace(p, where=f"sound {number}") for p in refusal.problems]) from refusal


def _in_buckets(
    function: Callable[[np.ndarray], jax.Array], items: Sequence[np.ndarray], fill: float, factor: int
) -> list[np.ndarray]:
    """`function` over items [n, ...] of any lengths, in batches whose shape follows from an item's own length alone.

    An item is filled up to the next power of two (of LEAST_BUCKET / factor or more), and a batch to a fixed number of items:
    what XLA computes for it is then the same whoever its neighbours are.
    """
    least = _LEAST_BUCKET // factor
    results: list[np.ndarray] = [np.zeros(0)] * len(items)
    buckets: dict[int, list[int]] = {}
    for index, item in enumerate(items):
        buckets.setdefault(max(least, 1 << max(0, len(item) - 1).bit_length()), []).append(index)
    for length, own in buckets.items():
        rows = max(1, _FRAMES_AT_ONCE // (length * factor))
        for start in range(0, len(own), rows):
            part = own[start : start + rows]
            filled = np.full((rows, length, *items[part[0]].shape[1:]), fill, items[part[0]].dtype)
            for row, index in enumerate(part):
                filled[row, : len(items[index])] = items[index]
            for index, result in zip(part, np.asarray(function(filled)), strict=False):
                results[index] = result
    return results


def _parameters(settings: MelFsqSettings) -> dict:
    rng = np.random.default_rng(settings.seed)
    w, q, fold = settings.width, len(settings.levels), settings.stride * mel.BANDS
    conv, block = layers.conv_parameters, layers.block_parameters
    return {
        "in": conv(rng, _NEAR, fold, w),
        "blocks_in": [block(rng, (3,), w) for _ in range(settings.blocks)],
        "to_code": conv(rng, (1,), w, q),
        "from_code": conv(rng, _NEAR, q, w),
        "blocks_out": [block(rng, (3,), w) for _ in range(settings.blocks)],
        "out": conv(rng, _NEAR, w, fold, gain=0.5),
    }


def _encode(parameters: dict, frames: jax.Array, stride: int) -> jax.Array:
    """[B, T, M], normalised -> [B, G, Q], unbounded."""
    x = layers.conv(parameters["in"], layers.fold(frames, stride))
    for block in parameters["blocks_in"]:
        x = layers.block(block, x)
    return layers.conv(parameters["to_code"], x)


def _decode(parameters: dict, values: jax.Array, stride: int) -> jax.Array:
    """[B, G, Q] in [-1, 1] -> [B, T, M], normalised."""
    x = layers.conv(parameters["from_code"], values)
    for block in parameters["blocks_out"]:
        x = layers.block(block, x)
    return layers.unfold(layers.conv(parameters["out"], x), stride)


@functools.partial(jax.jit, static_argnums=2)
def _codes(parameters: dict, frames: jax.Array, settings: MelFsqSettings) -> jax.Array:
    """[B, T, M] -> int32 [B, G, books]."""
    z = _encode(parameters, (frames - parameters["mean"]) / parameters["deviation"], settings.stride)
    books, first = [], 0
    for levels in settings.books:
        books.append(fsq.quantise(z[..., first : first + len(levels)], levels)[1])
        first += len(levels)
    return jnp.stack(books, axis=-1)


@functools.partial(jax.jit, static_argnums=2)
def _restore(parameters: dict, codes: jax.Array, settings: MelFsqSettings) -> jax.Array:
    """int32 [B, G, books] -> [B, T, M]."""
    values = [fsq.values(codes[..., book], levels) for book, levels in enumerate(settings.books)]
    frames = _decode(parameters, jnp.concatenate(values, axis=-1), settings.stride)
    return frames * parameters["deviation"] + parameters["mean"]
