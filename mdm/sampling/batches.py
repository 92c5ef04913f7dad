"""Batches: requests that one compiled program can serve, put together.

What a program must know beforehand (the length of its rows, their `Layout`) is taken from each request by itself, rounded up,
and requests that agree in it are batched. A request thus gets rows of the same length whoever its neighbours are, and
prompts of about the same length share a program.

Letters: B rows, L positions.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

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


def plan_batches(
    requests: Sequence[Request], names: Sequence[str], vocabulary: Vocabulary, length: int, most: int
) -> list[Batch]:
    """Batches of at most `most` rows, as even as they can be, in the order of their first requests.

    names:  what a request is called in a refusal
    length: positions of a row of the model
    Raises Refusal with every problem of every request, as `build_canvas`.
    """
    problems: list[Problem] = []
    groups: dict[tuple, list[tuple[int, Canvas]]] = {}
    for number, (request, name) in enumerate(zip(requests, names, strict=True)):
        found: list[Problem] = []
        with collecting(found):
            canvas = build_canvas([request], vocabulary, length)
            canvas = trim_canvas(canvas, _rounded_up(int((canvas.rows.segments > 0).sum())))
            positions = canvas.masked.shape[1]
            layout = _rounded(layout_of(canvas, vocabulary), positions)
            groups.setdefault((positions, layout), []).append((number, canvas))
        problems += [dataclasses.replace(p, where=p.where.replace("request 0", name, 1)) for p in found]
    refuse_if(problems)
    batches = [
        _batch(part, size, layout)
        for (_, layout), group in groups.items()
        for size in [-(-len(group) // -(-len(group) // most))]
        for part in (group[start : start + size] for start in range(0, len(group), size))
    ]
    return sorted(batches, key=lambda batch: batch.numbers[0])


def _rounded_up(n: int) -> int:
    """The least of 32, 48, 64, 96, 128, 192, ... that is not below n: few programs, and at most half as much again to compute.
    0 stays 0."""
    if not n:
        return 0
    power = 1 << (n - 1).bit_length()
    return max(32, 3 * power // 4 if n <= 3 * power // 4 else power)


def _rounded(layout: Layout, length: int) -> Layout:
    return layout._replace(counts=tuple(min(_rounded_up(count), length) for count in layout.counts))


def _batch(part: Sequence[tuple[int, Canvas]], size: int, layout: Layout) -> Batch:
    canvases = [canvas for _, canvas in part]
    canvases += canvases[-1:] * (size - len(part))
    whole = jax.tree.map(lambda *rows: np.concatenate(rows), *canvases)
    return Batch(tuple(number for number, _ in part), whole, layout)
