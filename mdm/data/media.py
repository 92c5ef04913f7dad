"""Items of a source, and how media files are read."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image

from mdm.codecs.codec import Media, Sound
from mdm.problems import Problem, Refusal

MOST_PIXELS = 64_000_000
MOST_SECONDS = 600


@dataclasses.dataclass(frozen=True)
class Item:
    """One document to be.

    media:   modality -> function that reads it; raises Refusal naming the file
    version: changes when the media do, as far as that shows without reading them: texts of tables, sizes of files
    """

    key: str
    concept: str
    media: Mapping[str, Callable[[], Media]]
    version: str

    @property
    def identity(self) -> tuple[str, str, str]:
        """What a second preparation compares."""
        return self.key, self.concept, self.version


def read_text(path: Path) -> str:
    """UTF-8 text of a file, with line ends as newlines."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise Refusal(
            Problem(str(path), None, f"is not UTF-8 ({error})", "convert it to UTF-8, or remove it")
        ) from error
    except OSError as error:
        raise Refusal(Problem(str(path), None, f"cannot be read ({error})", "check the path")) from error


def read_image(path: Path) -> np.ndarray:
    """uint8 [H, W, 3]; transparency is laid on white."""
    try:
        with Image.open(path) as image:
            if image.width * image.height > MOST_PIXELS:
                raise ValueError(f"{image.width} x {image.height} is more than {MOST_PIXELS} pixels")
            image = image.convert("RGBA")
            ground = Image.new("RGBA", image.size, "white")
            ground.alpha_composite(image)
            return np.asarray(ground.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise Refusal(Problem(str(path), None, f"is not a readable picture ({error})", "mend or remove it")) from error


def read_sound(path: Path) -> Sound:
    """Mono float32; several channels are averaged."""
    try:
        with soundfile.SoundFile(path) as file:
            if file.frames > MOST_SECONDS * file.samplerate:
                raise ValueError(f"longer than {MOST_SECONDS} s")
            samples_, rate = file.read(dtype="float32", always_2d=True), file.samplerate
    except (RuntimeError, OSError, ValueError) as error:
        raise Refusal(Problem(str(path), None, f"is not a readable sound ({error})", "mend or remove it")) from error
    if not len(samples_):
        raise Refusal(Problem(str(path), None, "holds no sound", "mend or remove it"))
    return Sound(samples_.mean(axis=1), rate)


def size_of(file: Path) -> int | None:
    """Bytes of a file, None if it is not there: what shows of a change without reading it."""
    return file.stat().st_size if file.exists() else None
