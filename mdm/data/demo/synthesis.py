"""Speech made from texts by a synthesiser that a package carries, each sentence once, kept on disk."""

from __future__ import annotations

import concurrent.futures
import ctypes
import functools
import os
import stat
import subprocess
import threading
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import soundfile
from absl import logging
from tqdm import tqdm

from mdm import atomic
from mdm.data.demo import emoji, glosses
from mdm.data.demo.catalogue import ESPEAK, FLITE, FLITE_VOICES
from mdm.data.demo.package import Unavailable
from mdm.data.media import Item, read_sound, size_of
from mdm.fingerprint import fingerprint
from mdm.problems import Problem, Refusal

VOICE = "rms"  # of flite's voices the one that a recogniser understands best
MOST_SENTENCES = 6000  # of examples: about three hours
_QUOTES = str.maketrans({mark: None for mark in '“”«»"‘'} | {"’": "'"})  # noqa: RUF001

_ONE_AT_A_TIME = threading.Lock()  # the engine is one for the process

Speaker = Callable[[str, Path], None]
"""(text, file) -> writes a sound file."""


def emoji_names(name: str, folder: Path) -> Iterator[Item]:
    """The names of emoji, spoken: the same concepts as their pictures."""
    yield from _items(name, folder, emoji.names(folder))


def examples(name: str, folder: Path) -> Iterator[Item]:
    """Short example sentences of a dictionary, spoken; the concept is the sentence."""
    own = glosses.examples(folder)[:MOST_SENTENCES]
    yield from _items(name, folder, [(fingerprint(text), text, text) for text in own])


def _items(name: str, folder: Path, sentences: Sequence[tuple[str, str, str]]) -> Iterator[Item]:
    """sentences: (key, concept, text)."""
    voice, speak = _speaker(folder)
    place = folder / f"spoken-{voice}"
    place.mkdir(parents=True, exist_ok=True)
    files = [place / f"{fingerprint(text)}.flac" for _, _, text in sentences]
    _make(speak, [(text, file) for (_, _, text), file in zip(sentences, files, strict=True) if not file.exists()])
    for (key, concept, text), file in zip(sentences, files, strict=True):
        media = {"text": lambda t=text: t, "audio": lambda f=file: read_sound(f)}
        yield Item(f"{name}/{key}", concept, media, f"{text} {voice} {size_of(file)}")


def _make(speak: Speaker, wanted: Sequence[tuple[str, Path]]) -> None:
    wanted = list({file: (text, file) for text, file in wanted}.values())
    if not wanted:
        return
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            for _ in tqdm(pool.map(lambda pair: speak(*pair), wanted), "speaking", len(wanted), mininterval=2):
                pass
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def speakable(text: str) -> str:
    """ASCII without quotation marks: what the voices say as it is written."""
    plain = unicodedata.normalize("NFKD", text.translate(_QUOTES)).encode("ascii", "ignore").decode()
    return " ".join(plain.split()) or "nothing"


def _speaker(folder: Path) -> tuple[str, Speaker]:
    """flite where Debian's packages can be had, eSpeak NG elsewhere. Raises Unavailable if neither can."""
    try:
        return f"flite-{VOICE}", _flite(folder)
    except Unavailable as first:
        logging.warning("speaking with eSpeak NG, since flite cannot be had: %s", first)
        try:
            return "espeak", _espeak(folder)
        except Unavailable as second:
            raise Unavailable((*first.problems, *second.problems)) from second


def _flite(folder: Path) -> Speaker:
    program = FLITE.fetch(folder) / "usr" / "bin" / "flite"
    libraries = next((FLITE_VOICES.fetch(folder) / "usr" / "lib").rglob("libflite.so.1")).parent
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    voiced = ["env", f"LD_LIBRARY_PATH={libraries.resolve()}", str(program.resolve()), "-voice", VOICE]

    def speak(text: str, file: Path) -> None:
        with atomic.replacing(file) as temporary:
            wav = temporary.with_suffix(".wav")
            # A file rather than an argument: a text that begins with a hyphen is not an option.
            source = temporary.with_suffix(".txt")
            source.write_text(speakable(text), encoding="ascii")
            command = [*voiced, "-f", str(source), "-o", str(wav)]
            done = subprocess.run(command, capture_output=True, text=True)
            source.unlink()
            if done.returncode:
                raise Unavailable(Problem("flite", text, f"failed: {done.stderr.strip()[-200:]}", "see its message"))
            sound, rate = soundfile.read(wav, dtype="int16")
            wav.unlink()
            soundfile.write(temporary, sound, rate, format="FLAC")

    speak("ready", folder / "flite.flac")  # on a system whose C library is too old it fails here, not in the middle
    return speak


def _espeak(folder: Path) -> Speaker:
    place = ESPEAK.fetch(folder) / "espeakng_loader"
    library = next((p for p in sorted(place.iterdir()) if p.suffix in (".so", ".dylib")), None)
    if library is None:
        raise Unavailable(Problem(ESPEAK.title, str(place), "holds no library for this platform", "install flite"))
    engine = ctypes.CDLL(str(library.resolve()))
    rate = engine.espeak_Initialize(2, 0, str(place.resolve()).encode(), 0)  # 2: the call returns when all was said
    if rate <= 0:
        raise Unavailable(Problem(ESPEAK.title, rate, "cannot be started", "install flite"))
    heard = bytearray()

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
    def hear(samples, count, _):
        if samples and count > 0:
            heard.extend(ctypes.string_at(samples, 2 * count))
        return 0

    engine.espeak_SetSynthCallback(hear)
    engine.espeak_SetVoiceByName(b"en-us")
    return functools.partial(_say, engine, heard, rate, hear)


def _say(engine, heard: bytearray, rate: int, _keep_alive, text: str, file: Path) -> None:
    with _ONE_AT_A_TIME:
        heard.clear()
        words = speakable(text).encode()
        engine.espeak_Synth(words, len(words) + 1, 0, 1, 0, 1, None, None)
        engine.espeak_Synchronize()
        sound = np.frombuffer(bytes(heard), np.int16)
    if not sound.size:
        raise Refusal(Problem("eSpeak NG", text, "said nothing", "take the text out"))
    with atomic.replacing(file) as temporary:
        soundfile.write(temporary, sound, rate, format="FLAC")
