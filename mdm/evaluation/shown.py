"""A medium as a page shows it, with nothing outside of the page."""

from __future__ import annotations

import base64
import io

import soundfile
from PIL import Image

from mdm.codecs.codec import Media, Sound
from mdm.evaluation.measures import speech


def medium(label: str, media: Media) -> dict[str, str]:
    """label; kind: "text", "image" or "audio"; value: the text, or a data URI; note: what else can be told of it."""
    if isinstance(media, str):
        return {"label": label, "kind": "text", "value": media, "note": ""}
    if isinstance(media, Sound):
        buffer = io.BytesIO()
        soundfile.write(buffer, media.samples, media.rate, format="MP3")
        return {"label": label, "kind": "audio", "value": _uri("audio/mpeg", buffer), "note": sound_figures(media)}
    buffer = io.BytesIO()
    Image.fromarray(media).save(buffer, format="PNG")
    return {"label": label, "kind": "image", "value": _uri("image/png", buffer), "note": ""}


def sound_figures(sound: Sound) -> str:
    """Duration, level and share of silence: what can be told of a sound without ears."""
    if not len(sound.samples):
        return "empty"
    silent, frames = speech.silence(sound)
    seconds = len(sound.samples) / sound.rate
    return f"{seconds:.1f} s, {speech.level(sound):.0f} dB, {100 * silent / frames:.0f} % silent"


def _uri(kind: str, buffer: io.BytesIO) -> str:
    return f"data:{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
