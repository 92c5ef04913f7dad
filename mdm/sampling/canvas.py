"""Canvas: a row that is still partly masked, and how a request becomes one.

Rows are built by `tokens.rows.build_row`, as in training; the only thing decided here is how long what nobody knows
yet is:

    condition        its codes, then the tail that training lays out on average (`expected_tail`; there the tail is
                     keyed by the document's number, which a request does not have)
    target to make   as many positions as its shape says and no tail: in text and audio the model writes END where it
                     wants to stop, inside them
    of exact length  (`Request.exact`) as many, and behind them the expected tail as given ENDs: none may be written before
    target in part   (infilling) as many positions as the codes given with it. If the last of them is known, the span
                     ends there, and the expected tail stands behind it as in a row of training; if it is not, the
                     model may stop early, as above

Letters: B rows, L positions.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from mdm.problems import Problem, refuse_if
from mdm.tokens.rows import (
    CONDITION,
    TAIL_EXTRA,
    TAIL_MOST,
    TAIL_SLACK,
    TARGET,
    Document,
    Row,
    Segment,
    build_row,
    content_of,
    segment_length,
    stack,
)
from mdm.tokens.tasks import TASK_NAMES, TASKS, Task
from mdm.tokens.vocabulary import ENDING, Vocabulary


@dataclasses.dataclass(frozen=True, eq=False)
class Request:
    """What is to be made.

    task:   name of a task
    given:  codes of every condition, and of any target of which a part is known
    shapes: shape of the codes of every other target: text (n,), image (rows, columns), audio (frames, codebooks)
    known:  for a target in `given`, which of its codes are known (bool, of their shape); all of them if it is not named
    exact:  targets of free length that are to be as long as their shape says; others may end before
    """

    task: str
    given: Document
    shapes: Mapping[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)
    known: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    exact: Collection[str] = ()


class Canvas(NamedTuple):
    """rows: `Row` with a leading B, whose ids are [MASK] at the masked positions. masked: bool [B, L], still to be
    written.
    """

    rows: Row
    masked: np.ndarray


class Layout(NamedTuple):
    """What the compiled sampler must know of a canvas beforehand; equal for all canvases of the same tasks and shapes.

    counts:      for each output range, the most target positions that a row has in it
    conditional: whether any row has a condition
    """

    counts: tuple[int, ...]
    conditional: bool


def layout_of(canvas: Canvas, vocabulary: Vocabulary) -> Layout:
    """The layout of a canvas of NumPy arrays."""
    target = np.asarray(canvas.rows.roles) == TARGET
    ranges = np.asarray(canvas.rows.ranges)
    counts = tuple(int((target & (ranges == n)).sum(1).max()) for n in range(len(vocabulary.ranges)))
    return Layout(counts, bool((np.asarray(canvas.rows.roles) == CONDITION).any()))


def expected_tail(n: int, modality: str) -> int:
    """How many ENDs follow `n` content positions in training, on average (the mean of `tail_length`), rounded down."""
    return 1 + (int(min(TAIL_SLACK * n, TAIL_MOST)) + TAIL_EXTRA) // 2 if modality in ENDING else 0


def share_room(sizes: Mapping[str, int], wanted: Mapping[str, int], length: int) -> dict[str, int]:
    """How many positions spans get that may end anywhere: what is `wanted`, or, where that is more than a row of `length` has
    beside spans of `sizes`, a share of what it has. (A stream that splits its documents has longer ones than a row.) By
    modality, at least 1."""
    tails, none = {m: expected_tail(n, m) for m, n in sizes.items()}, dict.fromkeys(wanted, 0)
    room, total = length - segment_length({**sizes, **none}, {**tails, **none}), sum(wanted.values())
    return {m: max(1, n if total <= room else n * room // total) for m, n in wanted.items()}


def build_canvas(requests: Sequence[Request], vocabulary: Vocabulary, length: int) -> Canvas:
    """One request a row, in rows of `length` positions.

    Raises Refusal, listing every problem of every request: unknown task, a modality without codec, a condition or
    shape that is missing, superfluous or of the wrong form, a request that does not fit; and, from `build_row`, a
    code outside of its codebook.
    """
    if not requests:
        refuse_if([Problem("requests", None, "there are none", "give at least one")])
    refuse_if(p for i, request in enumerate(requests) for p in _problems(request, f"request {i}", vocabulary, length))
    canvases = [_build_one(request, vocabulary, length) for request in requests]
    return Canvas(stack([rows for rows, _ in canvases]), np.stack([masked for _, masked in canvases]))


def trim_canvas(canvas: Canvas, multiple: int = 32) -> Canvas:
    """The canvas without the columns in which every row is padding, but for what fills it up to a `multiple`: padding is
    seen by nobody, so it costs time and changes nothing; few lengths mean few compilations."""
    used = int(np.flatnonzero((canvas.rows.segments > 0).any(axis=0))[-1]) + 1
    length = min(-(-used // multiple) * multiple, canvas.masked.shape[1])
    return Canvas(Row(*(array[:, :length] for array in canvas.rows)), canvas.masked[:, :length])


def read_canvas(canvas: Canvas, requests: Sequence[Request], vocabulary: Vocabulary) -> list[Document]:
    """The codes of every target of a sampled canvas, up to the first END, in the shapes that codecs decode."""
    documents = []
    for number, request in enumerate(requests):
        row = Row(*(np.asarray(array)[number] for array in canvas.rows))
        codes = {m: content_of(row, row.ids, 1, m, vocabulary) for m in TASKS[request.task].targets}
        if "image" in codes:
            codes["image"] = codes["image"].reshape(_shape(request, "image"))
        if "audio" in codes:
            codes["audio"] = codes["audio"].reshape(-1, len(vocabulary.ranges_of("audio")))
        documents.append(codes)
    return documents


def read_turns(
    canvas: Canvas, turns: np.ndarray, documents: Sequence[Document], vocabulary: Vocabulary
) -> list[dict[str, np.ndarray]]:
    """The `turns` int32 [B, L] of `sampler.Written` at the codes of `documents` (from `read_canvas`), in their shapes."""
    found = []
    for ranges, own, document in zip(np.asarray(canvas.rows.ranges), np.asarray(turns), documents, strict=True):
        of = {}
        for modality, codes in document.items():
            books = [own[ranges == number] for number in vocabulary.ranges_of(modality)]
            whole = codes.size // len(books)
            of[modality] = np.stack([book[:whole] for book in books], axis=-1).reshape(codes.shape)
        found.append(of)
    return found


def _build_one(request: Request, vocabulary: Vocabulary, length: int) -> tuple[Row, np.ndarray]:
    task = TASKS[request.task]
    codes = {m: np.asarray(request.given[m], np.int32) for m in request.given}
    codes |= {m: np.zeros(request.shapes[m], np.int32) for m in request.shapes}
    row = build_row([Segment(codes, task, _tails(request, task))], vocabulary, length)
    masked = np.zeros(length, bool)
    for modality in task.targets:
        span = np.flatnonzero(np.isin(row.ranges, vocabulary.ranges_of(modality)))
        masked[span[: codes[modality].size]] = ~_known(request, modality).reshape(-1)
    return row._replace(ids=np.where(masked, np.int32(vocabulary.mask), row.ids)), masked


def _shape(request: Request, modality: str) -> tuple[int, ...]:
    return tuple(request.shapes[modality]) if modality in request.shapes else np.shape(request.given[modality])


def _known(request: Request, modality: str) -> np.ndarray:
    """Which codes of a target are known, in their shape."""
    if modality in request.shapes:
        return np.zeros(request.shapes[modality], bool)
    if modality in request.known:
        return np.asarray(request.known[modality], bool)
    return np.ones(_shape(request, modality), bool)


def _tails(request: Request, task: Task) -> dict[str, int]:
    tails = {}
    for span in task.spans:
        size = int(np.prod(_shape(request, span.modality)))
        unknown = span.target and not _known(request, span.modality).reshape(-1)[-1:].all()
        tails[span.modality] = (
            0 if unknown and span.modality not in request.exact else expected_tail(size, span.modality)
        )
    return tails


def _problems(request: Request, at: str, vocabulary: Vocabulary, length: int) -> list[Problem]:
    if request.task not in TASKS:
        return [Problem(f"{at}.task", request.task, "is not a task", f"use one of {TASK_NAMES}")]
    task = TASKS[request.task]
    found = [
        Problem(f"{at}.task", request.task, f"needs {m} codes, and this run has no {m} codec", "use a run that has one")
        for m in sorted(task.modalities)
        if not vocabulary.ranges_of(m)
    ]
    for name, modalities in (("given", request.given), ("shapes", request.shapes), ("known", request.known)):
        for m in modalities:
            if m not in task.modalities:
                remedy = f"its parts are {sorted(task.modalities)}"
                found.append(Problem(f"{at}.{name}", m, f"is no part of {task.name}", remedy))
    for m in task.conditions:
        if m not in request.given:
            found.append(Problem(f"{at}.given.{m}", None, f"{task.name} needs its {m}", "give its codes"))
        if m in request.shapes or m in request.known:
            reason = f"is a condition of {task.name}, given as a whole"
            found.append(Problem(f"{at}.{m}", None, reason, "give its codes only"))
    for m in task.targets:
        if (m in request.given) == (m in request.shapes):
            remedy = "state its shape, or give codes and which of them are known"
            found.append(Problem(f"{at}.shapes.{m}", None, "needs either a shape or given codes", remedy))
        elif m in request.known and m not in request.given:
            found.append(Problem(f"{at}.known.{m}", None, "has no codes in `given`", "give the codes, or leave it out"))
    for m in request.exact:
        if m not in task.targets or m not in ENDING:
            remedy = f"leave it out; {sorted(set(task.targets) & set(ENDING))} may be"
            found.append(Problem(f"{at}.exact", m, f"is no target of free length of {task.name}", remedy))
    if found:
        return found
    for m in sorted(task.modalities):
        found += _shape_problems(request, m, m in task.targets, at, vocabulary)
    return found or _length_problems(request, task, at, length)


def _shape_problems(request: Request, modality: str, target: bool, at: str, vocabulary: Vocabulary) -> list[Problem]:
    shape = _shape(request, modality)
    books = len(vocabulary.ranges_of(modality))
    form = {"text": "(n,)", "image": "(rows, columns)", "audio": f"(frames, {books})"}[modality]
    fits = len(shape) == (1 if modality == "text" else 2) and (modality != "audio" or shape[1] == books)
    whole = all(isinstance(size, int | np.integer) and size >= (1 if target else 0) for size in shape)
    if not fits or not whole:
        return [Problem(f"{at}.{modality}", shape, "is not a shape of its codes", f"use {form}, whole and positive")]
    if modality in request.given and np.asarray(request.given[modality]).dtype.kind not in "iu":
        found = np.asarray(request.given[modality]).dtype.name
        return [Problem(f"{at}.given.{modality}", found, "codes are integers", "give what the codec's encode returns")]
    if modality in request.known and np.shape(request.known[modality]) != shape:
        found = np.shape(request.known[modality])
        return [Problem(f"{at}.known.{modality}", found, "is not of the shape of its codes", f"use {shape}")]
    return []


def _length_problems(request: Request, task: Task, at: str, length: int) -> list[Problem]:
    tails = _tails(request, task)
    sizes = {m: int(np.prod(_shape(request, m))) for m in tails}
    total = segment_length(sizes, tails)
    if total <= length:
        return []
    parts = ", ".join(f"{m} {sizes[m]} + {tails[m]} END" for m in sizes)
    reason = f"does not fit in a row of {length} positions ({parts}, {1 + len(sizes)} special)"
    return [Problem(at, f"{total} positions", reason, "shorten what is given or what is to be made")]
