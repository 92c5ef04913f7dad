"""How the tests read a source: items opened, or what is said of those that cannot be."""

import io
import tarfile

import numpy as np
import soundfile
from PIL import Image

from mdm.data import sources
from mdm.data.sources import SourceSettings
from mdm.problems import Refusal


def items(kind, path, **options):
    settings = SourceSettings(kind, str(path), "s", sources.SOURCES[kind].options(**options))
    assert not settings.problems("at")
    return list(sources.items("own", settings))


def opened(item):
    """Its media, or the refusal as text."""
    try:
        return {modality: read() for modality, read in item.media.items()}
    except Refusal as refusal:
        return str(refusal)


def archive(path, members, mode="w"):
    """A tar file of (name, content)."""
    with tarfile.open(path, mode) as opened_:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            opened_.addfile(info, io.BytesIO(content))
    return path


def png(color: int = 0) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (4, 3), (color, color, color)).save(file, "PNG")
    return file.getvalue()


def wav(samples: int = 80, rate: int = 8000) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.full(samples, 0.25), rate, format="WAV")
    return file.getvalue()
