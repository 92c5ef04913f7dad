"""Batches: requests that one compiled program can serve, put together.

What a program must know beforehand (the length of its rows, their `Layout`) is taken from each request by itself, rounded up,
and requests that agree in it are batched. A request thus gets rows of the same length whoever its neighbours are, and
prompts of about the same length share a program. What the machine wants of a canvas is the same for all (`Fit`).

Letters: B rows, L positions.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np

from mdm.problems import Problem, collecting, refuse_if
from mdm.sampling.canvas import Canvas, Layout, Request, build_canvas, layout_of, trim_canvas
from mdm.tokens.vocabulary import Vocabulary


@dataclasses.dataclass(frozen=True, eq=False)
class Batch:
    """numbers: of the requests, in the order of the first rows of `canvas`; the rows behind them repeat the last one, so
    that all batches of a layout have one shape."""

    numbers: tuple[int, ...]
    canvas: Canvas
    layout: Layout

    @property
    def rows(self) -> np.ndarray:
        """int [B]: for each row the place of its request in `numbers`."""
        return np.minimum(np.arange(len(self.canvas.masked)), len(self.numbers) - 1)


class Fit(NamedTuple):
    """What the machine wants of a canvas: rows in multiples of its devices, positions in multiples of its attention kernel's."""

    rows: int = 1
    positions: int = 1


def plan_batches(
    requests: Sequence[Request],
    names: Sequence[str],
    vocabulary: Vocabulary,
    length: int,
    most: int,
    fit: Fit = Fit(),
) -> list[Batch]:
    """Batches of at most `most` requests, as even as they can be, in the order of their first requests.

    names:  what a request is called in a refusal
    length: positions of a row of the model
    Raises Refusal with every problem of every request, as `build_canvas`.
    """
    problems: list[Problem] = []
    groups: dict[tuple, list[tuple[int, Canvas]]] = {}
    for number, (request, name) in enumerate(zip(requests, names, strict=True)):
        found: list[Problem] = []
        with collecting(found):
            canvas, layout = _trimmed(build_canvas([request], vocabulary, length), vocabulary, fit)
            groups.setdefault((canvas.masked.shape[1], layout), []).append((number, canvas))
        problems += [dataclasses.replace(p, where=p.where.replace("request 0", name, 1)) for p in found]
    refuse_if(problems)
    batches = [
        _batch([n for n, _ in part], [canvas for _, canvas in part], _multiple(size, fit.rows), layout)
        for (_, layout), group in groups.items()
        for size in [-(-len(group) // -(-len(group) // most))]
        for part in (group[start : start + size] for start in range(0, len(group), size))
    ]
    return sorted(batches, key=lambda batch: batch.numbers[0])


def by_length(
    requests: Sequence[Request], vocabulary: Vocabulary, length: int, most: int, fit: Fit = Fit()
) -> list[Batch]:
    """As few batches of at most `most` requests as there can be, the shortest first; each as long as its longest wants it: fewer
    programs than `plan_batches` makes, and more padding. Raises Refusal as `build_canvas`."""
    whole = build_canvas(requests, vocabulary, length)
    size = -(-len(requests) // -(-len(requests) // most))
    order = np.argsort((whole.rows.segments > 0).sum(axis=1), kind="stable")
    found = []
    for part in (order[start : start + size] for start in range(0, len(order), size)):
        canvas, layout = _trimmed(jax.tree.map(lambda array, own=part: array[own], whole), vocabulary, fit)
        found.append(_batch(part.tolist(), [canvas], _multiple(size, fit.rows), layout))
    return found


def _trimmed(canvas: Canvas, vocabulary: Vocabulary, fit: Fit) -> tuple[Canvas, Layout]:
    used = int((canvas.rows.segments > 0).sum(axis=1).max(initial=0))
    canvas = trim_canvas(canvas, _multiple(_rounded_up(used), fit.positions))
    positions, layout = canvas.masked.shape[1], layout_of(canvas, vocabulary)
    return canvas, layout._replace(counts=tuple(min(_rounded_up(count), positions) for count in layout.counts))


def _multiple(n: int, of: int) -> int:
    return -(-n // of) * of


def _rounded_up(n: int) -> int:
    """The least of 32, 48, 64, 96, 128, 192, ... that is not below n: few programs, and at most half as much again to compute.
    0 stays 0."""
    if not n:
        return 0
    power = 1 << (n - 1).bit_length()
    return max(32, 3 * power // 4 if n <= 3 * power // 4 else power)


def _batch(numbers: Sequence[int], canvases: Sequence[Canvas], size: int, layout: Layout) -> Batch:
    """size: rows"""
    whole = jax.tree.map(lambda *rows: np.concatenate(rows), *canvases)
    rows = np.minimum(np.arange(size), len(numbers) - 1)
    return Batch(tuple(numbers), jax.tree.map(lambda array: array[rows], whole), layout)
