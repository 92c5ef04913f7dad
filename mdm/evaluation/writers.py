"""Where figures and samples are watched: TensorBoard, and Weights & Biases (extra `wandb`), through one interface."""

from __future__ import annotations

import html
import importlib.util
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from absl import logging
from etils import epath

from mdm.codecs.codec import Media, Sound
from mdm.evaluation.watched import Sample
from mdm.problems import Problem, Refusal
from mdm.runs.events import Events
from mdm.runs.uploads import Uploads

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
    """Its methods may be called again with the same step. Raises whatever its storage or service raises for what cannot be
    written."""

    def write(self, step: int, figures: Mapping[str, float]) -> None: ...

    def show(self, step: int, samples: Sequence[Sample]) -> None: ...

    def close(self) -> None: ...


class TensorBoard:
    """A folder of event files; in a bucket they are uploaded by a thread of its own, and `close` waits for it."""

    def __init__(self, folder: str | os.PathLike):
        self._uploads = Uploads() if "://" in os.fspath(folder) else None
        self._events = Events(epath.Path(folder), None, self._uploads)

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        self._events.write(step, figures)

    def show(self, step: int, samples: Sequence[Sample]) -> None:
        for name, media in samples:
            if isinstance(media, str):
                self._events.write_text(step, name, media)
            elif isinstance(media, Sound):
                self._events.write_sound(step, name, media.samples, media.rate)
            else:
                self._events.write_picture(step, name, media)

    def close(self) -> None:
        self._events.close()
        if self._uploads:
            self._uploads.close()


class WeightsAndBiases:
    """The same as a run of a project; WANDB_MODE=offline keeps them on this machine. Raises Refusal without the extra, and if no
    run can be begun."""

    def __init__(self, project: str, name: str, folder: str | os.PathLike):
        if importlib.util.find_spec("wandb") is None:
            raise Refusal(Problem("--wandb", project, "the package wandb is not installed", "pip install 'mdm[wandb]'"))
        import wandb

        self._package = wandb
        try:
            # The name is the id too, so that a follower that is started again goes on with its run.
            self._run = wandb.init(project=project, name=name, id=name, resume="allow", dir=os.fspath(folder))
        except Exception as error:  # of its own, of its client, of the network
            reason, remedy = f"no run can be begun ({error})", "run `wandb login`, or set WANDB_MODE=offline"
            raise Refusal(Problem("--wandb", project, reason, remedy)) from error
        # Steps come in the order in which they are evaluated, which after a restart need not be theirs.
        self._run.define_metric("checkpoint")
        self._run.define_metric("*", step_metric="checkpoint")

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        self._run.log({**figures, "checkpoint": step})

    def show(self, step: int, samples: Sequence[Sample]) -> None:
        self._run.log({**{name: self._medium(media) for name, media in samples}, "checkpoint": step})

    def _medium(self, media: Media) -> Any:
        if isinstance(media, str):
            return self._package.Html(f"<pre>{html.escape(media)}</pre>")
        if isinstance(media, Sound):
            return self._package.Audio(media.samples, sample_rate=media.rate)
        return self._package.Image(media)

    def close(self) -> None:
        self._run.finish()


class Several:
    """Writes to all of them. What one of them cannot write is logged, and costs no result."""

    def __init__(self, writers: Sequence[Writer]):
        self._writers = tuple(writers)

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        self._each(f"figures of step {step}", lambda writer: writer.write(step, figures))

    def show(self, step: int, samples: Sequence[Sample]) -> None:
        self._each(f"samples of step {step}", lambda writer: writer.show(step, samples))

    def close(self) -> None:
        self._each("what was left", lambda writer: writer.close())

    def _each(self, what: str, give: Callable[[Writer], None]) -> None:
        for writer in self._writers:
            try:
                give(writer)
            except Exception as error:  # clients of buckets and services raise types of their own
                logging.error("%s: not written by %s: %s", what, type(writer).__name__, error)
