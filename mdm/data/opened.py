"""What a process keeps open of a data set: few files of many, and within what the operating system allows."""

from __future__ import annotations

import collections
import errno
import resource
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from mdm.problems import Problem

Thing = TypeVar("Thing")

_MOST = 1024  # shards: a reader of 4,096 documents takes some 40 KB of memory
_THREADS = 32  # of an engine, that share the files of one process
_SHARE = 8  # of the files that a process may have open; a shard is three: its records and two files of its plan


def most_shards(streams: int) -> int:
    """How many shards each of so many streams may keep open: in all three eighths of the files that this process may have."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MOST if limit == resource.RLIM_INFINITY else min(_MOST, limit // _SHARE)
    return max(1, most // streams)


def most_files() -> int:
    """How many files each thread of an engine may keep open, if all of them do."""
    return most_shards(_THREADS)


def too_many(error: OSError, path: Path) -> Problem | None:
    """What is wrong when a file cannot be opened because too many are; None if it is something else."""
    if error.errno not in (errno.EMFILE, errno.ENFILE):
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    reason = f"cannot be opened: this process has as many files open as it may ({limit})"
    return Problem(
        str(path), None, reason, "raise the limit of the process (`ulimit -n`); the data set is not at fault"
    )


class Opened(Generic[Thing]):
    """Things by number, opened on first use; of more than `most` the one that was not asked for longest is let go.

    Safe to share between threads: who still uses what was let go keeps it open so long. Pickled without what is open.
    """

    def __init__(self, open_: Callable[[int], Thing], most: int):
        self._open, self._most = open_, most
        self._things: collections.OrderedDict[int, Thing] = collections.OrderedDict()
        self._lock = threading.Lock()

    def __getstate__(self):
        return {"open_": self._open, "most": self._most}

    def __setstate__(self, state):
        self.__init__(**state)

    def __len__(self) -> int:
        return len(self._things)

    def __getitem__(self, number: int) -> Thing:
        with self._lock:
            if number in self._things:
                self._things.move_to_end(number)
                return self._things[number]
            while len(self._things) >= self._most:  # before another is opened
                self._things.popitem(last=False)
            self._things[number] = self._open(number)
            return self._things[number]
