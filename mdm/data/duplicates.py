"""What duplicates are told by: equal media have equal digests, nearly equal texts have MinHash signatures (Broder 1997) that
agree in most places."""

from __future__ import annotations

import hashlib
import importlib
import re
from collections.abc import Mapping

import numpy as np

from mdm.codecs.codec import Codes, Media, Sound
from mdm.problems import Problem, Refusal

DIGEST = 16  # bytes
PLACES = 128  # of a signature: a standard deviation of 0.035 on a similarity of 0.8
WORDS = 5  # of a sequence

_WORD = re.compile(r"\w+")


def digest(media: Mapping[str, Media]) -> np.ndarray:
    """uint8 [DIGEST]: of the decoded media of a document."""
    hashed = hashlib.blake2b(digest_size=DIGEST)
    for modality in sorted(media):
        own = media[modality]
        kind, array = f"{modality} {type(own).__name__}", own
        if isinstance(own, str):
            array = np.frombuffer(own.encode("utf-8", "surrogatepass"), np.uint8)
        elif isinstance(own, Sound):
            kind, array = f"{kind} {own.rate}", own.samples
        elif isinstance(own, Codes):
            array = own.codes
        hashed.update(f"{kind} {array.dtype} {array.shape}\n".encode())
        hashed.update(np.ascontiguousarray(array).tobytes())
    return np.frombuffer(hashed.digest(), np.uint8)


def signature(text: str | Codes) -> np.ndarray:
    """uint32 [PLACES]: MinHash of a text's sequences of WORDS words, without case and punctuation, or of as many codes. Raises
    Refusal, naming the extra, where the library is not installed."""
    words = list(map(str, text.codes.tolist())) if isinstance(text, Codes) else _WORD.findall(text.lower())
    sequences = {" ".join(words[i : i + WORDS]) for i in range(max(1, len(words) - WORDS + 1))}
    hashed = _library().RMinHash(num_perm=PLACES, seed=0)
    hashed.update(sorted(sequences))
    return np.array(hashed.digest(), np.uint32)


def _library():
    try:
        return importlib.import_module("rensa")
    except ImportError as error:
        remedy = "pip install 'mdm[duplicates]'"
        raise Refusal(Problem("duplicates", "near", f"rensa cannot be imported ({error})", remedy)) from error
