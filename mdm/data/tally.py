"""How many records were left out, as far as one process knows. What all workers left out lies in a file for each piece of a
source; to read all of them for every record would cost the square of their number."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable
from pathlib import Path

LOOK_SECONDS = 1.0  # at least so long between two looks at what others left out
_SHARE = 10  # and at least so many times as long as a look takes


class Tally:
    """Counts records of this process one by one, and those of others now and then. Safe to share between threads."""

    def __init__(self):
        self._known, self._next = 0, 0.0
        self._lock = threading.Lock()

    def exceeds(self, most: int, look: Callable[[], int]) -> bool:
        """Counts one more record, which `look` finds too; whether there are more than `most`. look: counts all of all workers.

        True is never said without a look. False may be said without knowing of what others left out since the last one, so that
        whoever waits for the workers counts again.
        """
        with self._lock:
            self._known += 1
            if self._known <= most and time.monotonic() < self._next:
                return False
            began = time.monotonic()
            self._known = look()
            ended = time.monotonic()
            self._next = ended + max(LOOK_SECONDS, _SHARE * (ended - began))
            return self._known > most


@functools.lru_cache(maxsize=8)
def of(folder: Path) -> Tally:
    """The tally of this process for the work in a folder."""
    return Tally()
