"""What the processes of a job find of the files of a checkpoint, together: they must try the same steps."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import jax
from etils import epath

from mdm.problems import Fault
from mdm.runs import agreement, seal
from mdm.runs.storage import first_line


def agreed(step: epath.Path) -> str | None:
    """What any process finds wrong, for all of them; None if nothing is. Each reads its share of the files."""

    def look() -> str | None:
        with reading(step):
            return seal.damage(step, share=_share())

    wrong = agreement.together(look)
    return (wrong or "damaged, see the logs of the other processes") if agreement.anywhere(wrong is not None) else None


def sealed(step: epath.Path) -> bool:
    """Whether a checkpoint has a seal, as process 0 sees it."""

    def look() -> int:
        with reading(step):
            return int(seal.exists(step))

    return bool(agreement.led(look))


def read_all(step: epath.Path) -> None:
    """Reads all files of a checkpoint, each process its share. Raises Fault, on all of them, if storage does not give one."""

    def read() -> None:
        with reading(step):
            seal.read_all(step, _share())

    agreement.together(read)


@contextlib.contextmanager
def reading(step: epath.Path) -> Iterator[None]:
    """What fails inside says nothing of the checkpoint: files that are not damaged raise anything if they do not come."""
    try:
        yield
    except Exception as error:
        remedy = "it is tried again by the next start; to go on from the one before it, move it out of the folder"
        raise Fault(f"{step} could not be read ({first_line(error)}): {remedy}") from error


def _share() -> tuple[int, int]:
    return jax.process_index(), jax.process_count()
