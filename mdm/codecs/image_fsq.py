"""Pictures as a grid of FSQ codes: a small convolutional autoencoder.

Two by two pixels are folded into channels, residual blocks run at half resolution, a stride of 2 leads to the grid of codes
(4 pixels a code each way), and the way back mirrors it.

Letters: B pictures, S side of a picture, G side of the grid (S / 4).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from mdm.codecs import fsq, layers, storage
from mdm.codecs.codec import Progress, some
from mdm.codecs.fitting import MOST_BLOCKS, fit
from mdm.codecs.pictures import psnr_db, squares
from mdm.problems import Problem
from mdm.tokens.hashing import mix

STRIDE = 4  # pixels a code
_BATCH = (
    32  # pictures that are encoded at once, always: what XLA computes may depend on the shape, never on the neighbours
)


@dataclasses.dataclass(frozen=True)
class ImageFsqSettings:
    """size: side in pixels that pictures are brought to; levels: of each FSQ digit, their product is the number of codes;
    width, inner_width: channels at half resolution and on the grid; blocks: residual blocks at each."""

    size: int = 32
    levels: tuple[int, ...] = (8, 8, 8, 5)
    width: int = 32
    inner_width: int = 96
    blocks: int = 2
    steps: int = 1500
    batch_size: int = 32
    learning_rate: float = 2e-3
    seed: int = 0

    def problems(self, at: str) -> list[Problem]:
        found = [
            Problem(f"{at}.{key}", getattr(self, key), "must be positive", "see ImageFsqSettings")
            for key in ("width", "inner_width", "blocks", "steps", "batch_size", "learning_rate")
            if not getattr(self, key) > 0
        ]
        if self.blocks > MOST_BLOCKS:
            found.append(Problem(f"{at}.blocks", self.blocks, f"over {MOST_BLOCKS}", "see ImageFsqSettings"))
        if self.size < STRIDE or self.size % STRIDE or self.size > 1024:
            found.append(Problem(f"{at}.size", self.size, f"no multiple of {STRIDE} up to 1024", "use 32"))
        if not self.levels or min(self.levels) < 2 or fsq.size(self.levels) > 65_536:
            found.append(
                Problem(f"{at}.levels", self.levels, "a level below 2, or over 65,536 codes", "(8, 8, 8, 5) is usual")
            )
        return found


class ImageFsq:
    """See the module."""

    kind = "fsq-image"
    modality = "image"
    learns = True

    def __init__(self, settings: ImageFsqSettings, parameters: dict):
        self._settings = settings
        self._parameters = jax.tree.map(np.asarray, parameters)
        self.codebooks = (fsq.size(settings.levels),)
        self.grid = (settings.size // STRIDE, settings.size // STRIDE)

    @functools.cached_property
    def fingerprint(self) -> str:
        return storage.arrays_fingerprint(self.kind, self._settings, layers.flatten(self._parameters))

    @classmethod
    def fit(
        cls, media: Sequence[np.ndarray], settings: ImageFsqSettings, *, progress: Progress, state: Path | None
    ) -> ImageFsq:
        pictures = squares(some(media, "fit of the image codec"), settings.size)
        identity = storage.arrays_fingerprint(cls.kind, settings, {"pictures": pictures})

        def batch(step: int) -> np.ndarray:
            """A random sample, mirrored at random: a function of (seed, step) alone."""
            draws = mix(settings.seed, step, np.arange(settings.batch_size))
            chosen = pictures[(draws >> np.uint64(1)).astype(np.int64) % len(pictures)]
            mirrored = (draws & np.uint64(1)).astype(bool)
            return np.where(mirrored[:, None, None, None], chosen[:, :, ::-1], chosen).astype(np.float32) / 127.5 - 1

        def loss(parameters: dict, part: jax.Array) -> jax.Array:
            restored = _decode(parameters, fsq.quantise(_encode(parameters, part), settings.levels)[0])
            # The square is what PSNR measures; the absolute value keeps edges, which the square lets blur.
            return jnp.mean(jnp.square(restored - part)) + 0.1 * jnp.mean(jnp.abs(restored - part))

        start, rate = _parameters(settings), settings.learning_rate
        fitted = fit(loss, start, batch, settings.steps, rate, progress, state, identity)
        return cls(settings, fitted)

    def encode(self, media: Sequence[np.ndarray]) -> list[np.ndarray]:
        pictures = squares(media, self._settings.size)
        codes = _in_batches(lambda part: _codes(self._parameters, part / 127.5 - 1, self._settings.levels), pictures)
        return list(codes)

    def decode(self, codes: Sequence[np.ndarray]) -> list[np.ndarray]:
        if not codes:
            return []
        restored = _in_batches(lambda part: _restore(self._parameters, part, self._settings.levels), np.stack(codes))
        return list(np.clip(np.round((restored + 1) * 127.5), 0, 255).astype(np.uint8))

    def save(self, folder: Path) -> None:
        storage.save(folder, self.kind, self._settings, layers.flatten(self._parameters))

    @classmethod
    def load(cls, folder: Path) -> ImageFsq:
        like = lambda settings: jax.eval_shape(lambda: _parameters(settings))  # noqa: E731
        return cls(*storage.load(folder, cls.kind, ImageFsqSettings, like))

    def ceiling(self, held_out: Sequence[np.ndarray]) -> dict[str, float]:
        """psnr_db: mean over pictures, against the picture at the codec's size; usage of the codes."""
        codes = self.encode(some(held_out, "ceiling of the image codec"))
        psnr = psnr_db(squares(held_out, self._settings.size), np.stack(self.decode(codes)))
        return {"psnr_db": psnr, **fsq.usage(np.stack(codes), self.codebooks[0])}


def _in_batches(function, items: np.ndarray) -> np.ndarray:
    """`function` over `items` in batches of exactly _BATCH, the last one filled up with zeros."""
    parts = []
    for start in range(0, len(items), _BATCH):
        part = items[start : start + _BATCH]
        filled = np.zeros((_BATCH, *items.shape[1:]), items.dtype)
        filled[: len(part)] = part
        parts.append(np.asarray(function(filled))[: len(part)])
    return np.concatenate(parts) if parts else np.zeros((0,), np.int32)


def _parameters(settings: ImageFsqSettings) -> dict:
    rng = np.random.default_rng(settings.seed)
    w, inner, q, near = settings.width, settings.inner_width, len(settings.levels), (3, 3)
    conv, block = layers.conv_parameters, layers.block_parameters
    return {
        "in": conv(rng, near, 12, w),
        "outer_in": [block(rng, near, w) for _ in range(settings.blocks)],
        "down": conv(rng, near, w, inner),
        "inner_in": [block(rng, near, inner) for _ in range(settings.blocks)],
        "to_code": conv(rng, (1, 1), inner, q),
        "from_code": conv(rng, near, q, inner),
        "inner_out": [block(rng, near, inner) for _ in range(settings.blocks)],
        "up": conv(rng, near, inner, 4 * w),
        "outer_out": [block(rng, near, w) for _ in range(settings.blocks)],
        "out": conv(rng, near, w, 12, gain=0.5),
    }


def _encode(parameters: dict, pictures: jax.Array) -> jax.Array:
    """[B, S, S, 3] in [-1, 1] -> [B, G, G, Q], unbounded."""
    x = layers.conv(parameters["in"], layers.fold(pictures, 2))
    for block in parameters["outer_in"]:
        x = layers.block(block, x)
    x = layers.conv(parameters["down"], x, stride=2)
    for block in parameters["inner_in"]:
        x = layers.block(block, x)
    return layers.conv(parameters["to_code"], x)


def _decode(parameters: dict, values: jax.Array) -> jax.Array:
    """[B, G, G, Q] in [-1, 1] -> [B, S, S, 3]."""
    x = layers.conv(parameters["from_code"], values)
    for block in parameters["inner_out"]:
        x = layers.block(block, x)
    x = layers.unfold(layers.conv(parameters["up"], x), 2)
    for block in parameters["outer_out"]:
        x = layers.block(block, x)
    return layers.unfold(layers.conv(parameters["out"], x), 2)


@functools.partial(jax.jit, static_argnums=2)
def _codes(parameters: dict, pictures: jax.Array, levels: tuple[int, ...]) -> jax.Array:
    return fsq.quantise(_encode(parameters, pictures), levels)[1]


@functools.partial(jax.jit, static_argnums=2)
def _restore(parameters: dict, codes: jax.Array, levels: tuple[int, ...]) -> jax.Array:
    return _decode(parameters, fsq.values(codes, levels))
