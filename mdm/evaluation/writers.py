"""Where figures are watched: TensorBoard, and Weights & Biases (extra `wandb`), through one interface."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from tensorboardX import SummaryWriter

from mdm.problems import Problem, Refusal

_PLACE = ("what", "name", "split", "stream", "task", "modality")
_UNWATCHED = ("seconds",)


def figures(part: str, lines: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """All numbers with a fraction of some results, named by part and by what the result is of, e.g.
    "likelihood/heldout/image-text/text-to-image/image/bits"."""
    found = {}
    for line in lines:
        place = [part, *(str(line[key]) for key in _PLACE if key in line and line[key] not in (None, part))]
        for key, value in line.items():
            if isinstance(value, float) and key not in _UNWATCHED:
                found["/".join([*place, key]).replace(" ", "_")] = value
    return found


class Writer(Protocol):
    def write(self, step: int, figures: Mapping[str, float]) -> None: ...

    def close(self) -> None: ...


class TensorBoard:
    """Scalars in a folder of event files."""

    def __init__(self, folder: str | os.PathLike):
        self._events = SummaryWriter(os.fspath(folder))

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        for name, value in figures.items():
            self._events.add_scalar(name, value, step)
        self._events.flush()

    def close(self) -> None:
        self._events.close()


class WeightsAndBiases:
    """The same scalars as a run of a project; WANDB_MODE=offline keeps them on this machine. Raises Refusal without the extra."""

    def __init__(self, project: str, name: str, folder: str | os.PathLike):
        if importlib.util.find_spec("wandb") is None:
            raise Refusal(Problem("--wandb", project, "the package wandb is not installed", "pip install 'mdm[wandb]'"))
        import wandb

        # The name is the id too, so that a follower that is started again goes on with its run.
        self._run = wandb.init(project=project, name=name, id=name, resume="allow", dir=os.fspath(folder))
        # Steps come in the order in which they are evaluated, which after a restart need not be theirs.
        self._run.define_metric("checkpoint")
        self._run.define_metric("*", step_metric="checkpoint")

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        self._run.log({**figures, "checkpoint": step})

    def close(self) -> None:
        self._run.finish()


class Several:
    """Writes to all of them."""

    def __init__(self, writers: Sequence[Writer]):
        self._writers = tuple(writers)

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        for writer in self._writers:
            writer.write(step, figures)

    def close(self) -> None:
        for writer in self._writers:
            writer.close()
