"""Tasks: what is given, what is to be restored, and in which order the spans stand.

A task costs one entry in `TASKS`. Every task over the same modalities lays a document out in the same number of
positions, so a stream may draw any of them for any document without touching the packing plan.
"""

from __future__ import annotations

import dataclasses
import functools


@dataclasses.dataclass(frozen=True)
class Span:
    """A run of one modality inside a document. A target is masked and carries loss; a condition is given."""

    modality: str
    target: bool


@dataclasses.dataclass(frozen=True)
class Task:
    name: str
    spans: tuple[Span, ...]

    @functools.cached_property
    def modalities(self) -> frozenset[str]:
        return frozenset(span.modality for span in self.spans)

    @functools.cached_property
    def targets(self) -> tuple[str, ...]:
        return tuple(span.modality for span in self.spans if span.target)

    @functools.cached_property
    def conditions(self) -> tuple[str, ...]:
        return tuple(span.modality for span in self.spans if not span.target)


def _task(name: str, *, given: tuple[str, ...] = (), restored: tuple[str, ...]) -> Task:
    return Task(name, tuple(Span(m, target=False) for m in given) + tuple(Span(m, target=True) for m in restored))


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        _task("text", restored=("text",)),
        _task("text-to-image", given=("text",), restored=("image",)),
        _task("image-to-text", given=("image",), restored=("text",)),
        _task("joint-image-text", restored=("text", "image")),
        _task("text-to-speech", given=("text",), restored=("audio",)),
        _task("speech-to-text", given=("audio",), restored=("text",)),
        _task("joint-audio-text", restored=("text", "audio")),
    )
}

TASK_NAMES = tuple(TASKS)
"""Order of the integers that `Row.tasks` holds. In memory only: on disk a task is its name."""
