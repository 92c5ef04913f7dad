"""Media that ship with the package: captioned pictures, spoken sentences with transcripts, prose. See ATTRIBUTION.md."""

from pathlib import Path


def directory() -> Path:
    """The folder of the media: images/, speech/ and prose/."""
    return Path(__file__).parent
