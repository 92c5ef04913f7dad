"""Storage that does not answer, told apart from what is stored there."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from etils import epath

from mdm.problems import Fault, Refusal

OF_PATHS = (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError)
"""What stays so until somebody acts."""


class Unanswered(Fault, OSError):
    """Raised for what storage did not give, or take: nothing is known of it, and the next attempt may go well."""


@contextlib.contextmanager
def answered(where: str | os.PathLike) -> Iterator[None]:
    """Raises Unanswered, naming `where`, for whatever fails inside: clients of object stores have types of their own for a 403 or
    a 503, and tensorstore a ValueError. What is refused inside, and what a file system says of a path, say enough themselves."""
    try:
        yield
    except (*OF_PATHS, Refusal, Unanswered):
        raise
    except Exception as error:
        raise Unanswered(
            f"{os.fspath(where)} does not answer ({first_line(error)}); it may do so the next time"
        ) from error


def exists(path: epath.Path) -> bool:
    """Whether it is there. Raises Unanswered if the storage does not say."""
    with answered(path):
        return path.exists()


def first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
