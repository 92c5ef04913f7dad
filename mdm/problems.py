"""What is wrong with an input, said so that whoever gave it can mend it."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
from collections.abc import Iterable, Iterator

from mdm import exits


@dataclasses.dataclass(frozen=True)
class Problem:
    """One thing that cannot be used.

    where:  the config key, file or record, as its owner would name it.
    value:  what was found there (None if nothing was).
    reason: why it cannot be used.
    remedy: what to do about it.
    """

    where: str
    value: object
    reason: str
    remedy: str

    def __str__(self) -> str:
        found = "" if self.value is None else f" = {self.value!r}"
        return f"{self.where}{found}: {self.reason} -> {self.remedy}"

    def inside(self, at: str) -> Problem:
        """The same, told of what belongs to `at`."""
        return dataclasses.replace(self, where=f"{at}: {self.where}")


class Refusal(exits.Ending):
    """Raised for input that cannot be used; carries every problem that was found, not the first one.

    code: with which a binary ends that nobody saved from it.
    """

    code = exits.REFUSED

    def __init__(self, problems: Problem | Iterable[Problem]):
        self.problems = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        count = len(self.problems)
        lines = "\n".join(f"  - {problem}" for problem in self.problems)
        return f"{count} problem{'s' if count != 1 else ''}:\n{lines}"

    def inside(self, at: str) -> Refusal:
        return Refusal(problem.inside(at) for problem in self.problems)


class Fault(exits.Ending):
    """Raised for what may go well another time: storage that did not answer, a save that failed. Says what, and what helps if it
    comes again; ends a binary with a code after which launchers start it again."""

    code = exits.FAULT


# What stays so until somebody acts.
_LASTING = (
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOTDIR,
    errno.EEXIST,
    errno.EISDIR,
    errno.ENAMETOOLONG,
    errno.ELOOP,
)


# What somebody has to act on too, but who makes room need not start anything: the launcher does.
_FULL = (errno.ENOSPC, errno.EDQUOT)


def unwritable(where: str, what: str, error: OSError, remedy: str) -> Refusal | Fault:
    """What a failure to write means: lasting ones are refused; a full disk, and storage that does not answer, may have changed
    until the next start."""
    if error.errno in _FULL:
        return Fault(f"{where}: {what} ({os.strerror(error.errno)}) -> make room; the next start goes on")
    if error.errno in _LASTING:
        return Refusal(Problem(where, None, f"{what} ({error})", remedy))
    return Fault(f"{where}: {what} ({error}); start again when its storage answers")


@contextlib.contextmanager
def room() -> Iterator[None]:
    """Raises Fault, naming the file, for a disk on which something inside found no room."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise unwritable(str(error.filename or "a file"), "finds no room", error, "") from error


@contextlib.contextmanager
def collecting(problems: list[Problem], at: str = "") -> Iterator[None]:
    """Adds what a `Refusal` inside the block lists to `problems` and goes on behind it, so that more can be found; at: goes
    before where each of them is."""
    try:
        yield
    except Refusal as refusal:
        problems.extend((refusal.inside(at) if at else refusal).problems)


def refuse_if(problems: Iterable[Problem]) -> None:
    """Raises `Refusal` with all of `problems`, if there are any; what is wrong for several reasons alike is told once."""
    problems = tuple({str(problem): problem for problem in problems}.values())
    if problems:
        raise Refusal(problems)
