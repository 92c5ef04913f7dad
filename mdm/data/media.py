"""Items of a source, and how media files are read."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from PIL import Image, ImageOps

from mdm.codecs import mel
from mdm.codecs.codec import Codes, Media, Sound
from mdm.problems import Problem, Refusal

MOST_PIXELS = 64_000_000
MOST_SECONDS = 600
# Of all channels, a GiB as they are read: ten minutes of 48,000 a second have nine channels at most.
MOST_SAMPLES = 1 << 28
MOST_TEXT = 1 << 26  # bytes of one text
_MOST_CODE = 2**31 - 1
_EDGE = 1 << 20  # bytes at each end of a file that its version is made of


@dataclasses.dataclass(frozen=True)
class Item:
    """One document to be.

    media:   modality -> function that reads it; raises Refusal naming the file
    version: changes when the media do, as far as that shows without reading them: texts of tables, sizes of files
    held:    bytes of undecoded media that the item itself keeps in memory, because they cannot be found again
    """

    key: str
    concept: str
    media: Mapping[str, Callable[[], Media]]
    version: str
    held: int = 0

    @property
    def identity(self) -> tuple[str, str, str]:
        """What a second preparation compares."""
        return self.key, self.concept, self.version


def unreadable(key: str, problem: Problem, modalities: Iterable[str]) -> Item:
    """The item of a record that cannot be read: opening any of its media raises `problem`."""

    def refuse() -> Media:
        raise Refusal(problem)

    return Item(key, key, {modality: refuse for modality in modalities}, str(problem))


def read_text(path: Path) -> str:
    """UTF-8 text of a file, with line ends as newlines."""
    try:
        with path.open("rb") as file:
            return text_of(file.read(MOST_TEXT + 1), str(path))
    except OSError as error:
        raise Refusal(Problem(str(path), None, f"cannot be read ({error})", "check the path")) from error


def text_of(content: bytes | str, where: str) -> str:
    """UTF-8 text, or a string as JSON and tables give it, with line ends as newlines and without a byte order mark.

    Raises Refusal, naming `where`, for what has no UTF-8 form or is over MOST_TEXT bytes.
    """
    try:
        content = content.encode() if isinstance(content, str) else content
        if len(content) > MOST_TEXT:
            raise Refusal(Problem(where, len(content), f"over {MOST_TEXT} bytes of text", "cut it into documents"))
        return content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeError as error:  # a string may hold lone surrogates
        raise Refusal(Problem(where, None, f"is not UTF-8 ({error})", "convert it to UTF-8, or remove it")) from error


def document_text(content: bytes | str, where: str, alone: bool) -> str:
    """The text of a document: as it was written where it stands alone, without blanks around it where it goes with a picture or
    a sound. Raises Refusal, naming `where`, as `text_of` does and for a text of nothing but blanks."""
    text = text_of(content, where)
    if not text.strip():
        raise Refusal(Problem(where, None, "holds no text but blanks", "write one, or remove the record"))
    return text if alone else text.strip()


def read_image(file: Path | bytes, where: str = "") -> np.ndarray:
    """uint8 [H, W, 3], upright as its EXIF orientation says; transparency is laid on white, 16-bit grey is scaled to 8 bits.

    where: what to call a file that is given as its bytes. Raises Refusal for what is no picture, and for pixels whose range no
    file tells (32-bit whole numbers and floats).
    """
    at, content = where or str(file), io.BytesIO(file) if isinstance(file, bytes) else file
    try:
        with Image.open(content) as image:
            if image.width * image.height > MOST_PIXELS:
                raise ValueError(f"{image.width} x {image.height} is more than {MOST_PIXELS} pixels")
            if image.mode in ("I", "F"):
                found = {"I": "32-bit whole numbers", "F": "floats"}[image.mode]
                reason, remedy = (
                    "has pixels whose black and white are not known",
                    "store it with 8 or 16 bits a channel",
                )
                raise Refusal(Problem(at, found, reason, remedy))
            image = ImageOps.exif_transpose(image)
            if image.mode.startswith("I;16"):  # convert() would cut all above 255 to white
                return np.repeat(_eight_bits(np.asarray(image))[:, :, None], 3, axis=2)
            image = image.convert("RGBA")
            ground = Image.new("RGBA", image.size, "white")
            ground.alpha_composite(image)
            return np.asarray(ground.convert("RGB"))
    except Refusal:
        raise
    except Exception as error:  # Pillow's formats raise what they come upon in a damaged or hostile file
        reason = f"is not a readable picture ({_told(error, content, at)})"
        raise Refusal(Problem(at, None, reason, "mend or remove it")) from error


def _told(error: Exception, content: Path | io.BytesIO, at: str) -> str:
    """What is wrong with a file, the same in each run: libraries call the bytes of one by their place in memory."""
    return str(error).replace(repr(content), at) or repr(error)


def _eight_bits(grey: np.ndarray) -> np.ndarray:
    """uint16 -> uint8, black and white as they were."""
    return np.rint(grey / 257).astype(np.uint8)


def read_sound(file: Path | bytes, where: str = "") -> Sound:
    """Mono float32; several channels are averaged. where: what to call a file that is given as its bytes.

    Raises Refusal for what is no sound, has no usable rate, or is longer than MOST_SECONDS or MOST_SAMPLES, before it is decoded.
    """
    at, content = where or str(file), io.BytesIO(file) if isinstance(file, bytes) else file
    try:
        with soundfile.SoundFile(content) as opened:
            mel.check_rate(opened.samplerate)
            if opened.frames > MOST_SECONDS * opened.samplerate:
                raise ValueError(f"longer than {MOST_SECONDS} s")
            if opened.frames * opened.channels > MOST_SAMPLES:
                raise ValueError(f"{opened.frames} samples of {opened.channels} channels are more than {MOST_SAMPLES}")
            samples, rate = opened.read(dtype="float32", always_2d=True), opened.samplerate
    except Refusal as refusal:
        raise refusal.inside(at) from refusal
    except (RuntimeError, OSError, ValueError, TypeError, MemoryError) as error:
        reason = f"is not a readable sound ({_told(error, content, at)})"
        raise Refusal(Problem(at, None, reason, "mend or remove it")) from error
    if not len(samples):
        raise Refusal(Problem(at, None, "holds no sound", "mend or remove it"))
    return Sound(samples.mean(axis=1), rate)


def array_of(value: Any, where: str) -> np.ndarray:
    """Lists as they are found in a record, as an array. Raises Refusal, naming `where`, for those of different lengths."""
    try:
        return np.asarray(value)
    except (ValueError, TypeError, OverflowError) as error:
        raise Refusal(Problem(where, None, f"is no array ({error})", "give lists of equal lengths")) from error


def codes_of(array: Any, where: str) -> Codes:
    """Codes as someone else's files and tables hold them. Raises Refusal, naming `where`, for what is no array of whole numbers,
    is empty, or would become another code as int32."""
    array = array_of(array, where)
    if array.dtype.kind not in "iu" or not array.size:
        found = f"{array.dtype} {array.shape}"
        remedy = "give text, a file, samples with their sampling_rate, or whole numbers"
        raise Refusal(Problem(where, found, "is neither media nor codes", remedy))
    low, high = int(array.min()), int(array.max())
    if low < 0 or high > _MOST_CODE:
        reason, remedy = f"are not codes, which lie within [0, {_MOST_CODE}]", "mend or remove them"
        raise Refusal(Problem(where, (low, high), reason, remedy))
    return Codes(array.astype(np.int32))


def below(folder: Path, file: str, where: str) -> Path:
    """The path of a file that a record names. Raises Refusal, naming `where`, if it would lie outside of `folder`."""
    try:
        target = (folder / file).resolve()
    except ValueError as error:  # a zero byte, or half of a surrogate pair
        raise Refusal(Problem(where, file, f"is no path ({error})", "name a file")) from error
    if not target.is_relative_to(folder.resolve()):
        raise Refusal(Problem(where, file, f"lies outside of {folder}", "use paths below it"))
    return target


def size_of(file: Path) -> int | None:
    """Bytes of a file, None if it is not there or cannot be: what shows of a change without reading it."""
    try:
        return file.stat().st_size
    except (OSError, ValueError):
        return None


def version_of(file: Path) -> str:
    """Of a file that holds many records: its size and a digest of its first and last MiB. Raises Refusal if it is missing."""
    try:
        with file.open("rb") as opened:
            size = os.fstat(opened.fileno()).st_size
            digest = hashlib.sha256(opened.read(_EDGE))
            opened.seek(max(0, size - _EDGE))
            digest.update(opened.read(_EDGE))
    except OSError as error:
        raise Refusal(Problem(str(file), None, f"cannot be read ({error})", "check the path")) from error
    return f"{size} {digest.hexdigest()[:16]}"
