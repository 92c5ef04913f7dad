"""Pictures by a pretrained VQ model in the layout of diffusers (`VQModel`: VQGAN, MoVQGAN, MaskGIT's and Kandinsky's)."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from mdm.codecs import fsq, pretrained
from mdm.codecs.codec import Progress, some
from mdm.codecs.pictures import psnr_db, squares
from mdm.problems import Problem, Refusal

_FILES = ("config.json", "diffusion_pytorch_model.safetensors")
_BATCH = 8  # pictures at once, always: what is computed may depend on the shape, never on the neighbours


@dataclasses.dataclass(frozen=True)
class PictureVqSettings:
    """path: folder with config.json and diffusion_pytorch_model.safetensors; size: side, in pixels, of the squares that pictures
    are brought to."""

    path: str = ""
    size: int = 256

    def problems(self, at: str) -> list[Problem]:
        found = pretrained.path_problems(at, self.path)
        if not 1 <= self.size <= 2048:
            found.append(Problem(f"{at}.size", self.size, "outside [1, 2048]", "256 is usual"))
        return found


class PictureVq:
    """See the module. Codes are a grid, each of 2^(levels - 1) pixels each way."""

    kind = "vq-image"
    modality = "image"
    learns = False

    def __init__(self, settings: PictureVqSettings):
        """Raises Refusal for files that are missing, damaged, or of another model."""
        self._settings = settings
        self._files = pretrained.find(Path(settings.path), _FILES)
        self._torch = pretrained.library("torch")
        models = pretrained.library("diffusers")
        try:
            options = {"local_files_only": True, "use_safetensors": True, "low_cpu_mem_usage": False}
            self._model = models.VQModel.from_pretrained(settings.path, **options).eval()
        except Exception as error:  # diffusers, safetensors and torch each have their own
            remedy = "check that the folder holds a VQModel, or restore it"
            raise Refusal(Problem(settings.path, None, f"is no VQModel ({error})", remedy)) from error
        stride = 2 ** (len(self._model.config.block_out_channels) - 1)
        if settings.size % stride:
            raise Refusal(Problem("size", settings.size, f"no multiple of {stride} pixels, a code's", "change size"))
        self.grid = (settings.size // stride, settings.size // stride)
        self.codebooks = (int(self._model.config.num_vq_embeddings),)

    @functools.cached_property
    def fingerprint(self) -> str:
        return pretrained.own_fingerprint(self.kind, self._settings, self._files)

    @classmethod
    def fit(
        cls, media: Sequence[np.ndarray], settings: PictureVqSettings, *, progress: Progress, state: Path | None
    ) -> PictureVq:
        """There is nothing to fit."""
        return cls(settings)

    def encode(self, media: Sequence[np.ndarray]) -> list[np.ndarray]:
        return _in_batches(self._codes, squares(media, self._settings.size))

    def _codes(self, pictures: np.ndarray) -> np.ndarray:
        """uint8 [B, S, S, 3] -> int32 [B, rows, columns]."""
        with self._torch.inference_mode():
            x = self._torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1
            _, _, (_, _, codes) = self._model.quantize(self._model.encode(x).latents)
        return codes.reshape(len(pictures), *self.grid).numpy().astype(np.int32)

    def decode(self, codes: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Pictures of grids of one size."""
        return _in_batches(self._pictures, np.stack(codes)) if codes else []

    def _pictures(self, codes: np.ndarray) -> np.ndarray:
        with self._torch.inference_mode():
            flat = self._torch.from_numpy(codes.reshape(-1).astype(np.int64))
            shape = (*codes.shape, int(self._model.config.vq_embed_dim or self._model.config.latent_channels))
            latents = self._model.quantize.get_codebook_entry(flat, shape)
            quantised = self._model.post_quant_conv(latents)
            spatial = latents if self._model.config.norm_type == "spatial" else None
            pictures = self._model.decoder(quantised, spatial).permute(0, 2, 3, 1).numpy()
        return np.clip(np.round((pictures + 1) * 127.5), 0, 255).astype(np.uint8)

    def save(self, folder: Path) -> None:
        pretrained.save(folder, self.kind, self._settings, self._files, self.fingerprint)

    @classmethod
    def load(cls, folder: Path) -> PictureVq:
        codec = cls(pretrained.placed(PictureVqSettings, folder))
        pretrained.check(folder, codec.fingerprint)
        return codec

    def ceiling(self, held_out: Sequence[np.ndarray]) -> dict[str, float]:
        """psnr_db: mean over pictures, against the picture at the codec's size; usage of the codes."""
        codes = self.encode(some(held_out, "ceiling of the image codec"))
        psnr = psnr_db(squares(held_out, self._settings.size), np.stack(self.decode(codes)))
        return {"psnr_db": psnr, **fsq.usage(np.stack(codes), self.codebooks[0])}


def _in_batches(function: Callable[[np.ndarray], np.ndarray], items: np.ndarray) -> list[np.ndarray]:
    """`function` over `items` in batches of exactly _BATCH, the last one filled up with zeros."""
    found: list[np.ndarray] = []
    for start in range(0, len(items), _BATCH):
        part = items[start : start + _BATCH]
        filled = np.zeros((_BATCH, *items.shape[1:]), items.dtype)
        filled[: len(part)] = part
        found += list(function(filled)[: len(part)])
    return found
