"""A folder of samples: what was made, how, and how it looks together.

NUMBER-TASK.txt .png .wav        the samples, numbered on from what is there: nothing is ever written over
NUMBER-TASK.MODALITY.gif         how they came out of their masks, if that was asked for
NUMBER-to-NUMBER.png             the pictures of one call, with captions
samples.jsonl                    a line a sample
lock                             of the one call that writes here
"""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import soundfile
from absl import logging
from PIL import Image

from mdm.codecs.codec import Media, Sound
from mdm.evaluation import sheet
from mdm.evaluation.sheet import Picture
from mdm.problems import Problem, Refusal
from mdm.runs.lock import Lock


class SampleFolder:
    """Holds a folder for one call; a context manager. Raises Refusal if it cannot be made, or if another call writes there.

    Inside the block, `first` is the number of the first sample of the call.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.lock = self.path / "lock"
        self._lock = Lock(self)

    def __enter__(self) -> SampleFolder:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock.__enter__()
            self._log = open(self.path / "samples.jsonl", "a", encoding="utf-8")
        except OSError as error:
            raise Refusal(
                Problem(str(self.path), None, f"cannot be written to ({error})", "choose another --output")
            ) from error
        numbers = [int(match[0]) for name in os.listdir(self.path) if (match := re.match(r"\d+(?=-)", name))]
        self.first = 1 + max(numbers, default=-1)
        return self

    def __exit__(self, *_) -> None:
        self._log.close()
        self._lock.__exit__()

    def add(
        self,
        number: int,
        task: str,
        media: Mapping[str, Media],
        animations: Mapping[str, bytes],
        facts: Mapping[str, Any],
    ) -> None:
        """Writes one sample. media, animations (GIF): by modality; facts: of its line, besides number, task and files."""
        stem, files = f"{number:05d}-{task}", {}
        for modality, own in media.items():
            suffix, content = _encoded(own)
            files[modality] = self._write(f"{stem}.{suffix}", content)
            if isinstance(own, str):
                logging.info("%s: %s", files[modality], own)
        for modality, content in animations.items():
            files[f"{modality}-unmasking"] = self._write(f"{stem}.{modality}.gif", content)
        line = {"number": number, "task": task, "files": files, **facts}
        self._log.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._log.flush()  # a sample that was made survives the end of the process

    def add_sheets(self, pictures: Mapping[int, Picture]) -> list[str]:
        """Writes contact sheets of the pictures of a call, by their numbers; names of the files."""
        numbers, names = sorted(pictures), []
        for start in range(0, len(numbers), sheet.MOST):
            part = numbers[start : start + sheet.MOST]
            whole = sheet.contact_sheet([pictures[number] for number in part])
            names.append(self._write(f"{part[0]:05d}-to-{part[-1]:05d}.png", _png(whole)))
        return names

    def _write(self, name: str, content: bytes) -> str:
        with open(self.path / name, "xb") as file:
            file.write(content)
        return name


def _encoded(media: Media) -> tuple[str, bytes]:
    if isinstance(media, str):
        return "txt", media.encode()
    if isinstance(media, Sound):
        buffer = io.BytesIO()
        soundfile.write(buffer, media.samples, media.rate, format="WAV", subtype="PCM_16")
        return "wav", buffer.getvalue()
    return "png", _png(Image.fromarray(media))


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
