"""The best of a setting, and how it moves."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence

import numpy as np

from mdm.problems import Problem, Refusal
from mdm.studies.analyses.analysis import Finding
from mdm.studies.analyses.lines import (
    Where,
    chosen,
    chosen_levels,
    grouped,
    lines,
    no_numbers,
    unknown,
    unknown_levels,
)
from mdm.studies.chart import Chart, Series
from mdm.studies.fits import drift, parabola
from mdm.studies.rows import Row, in_order, is_number


@dataclasses.dataclass(frozen=True)
class BestSetting:
    """The setting `x` with the lowest `y`, by a parabola in log2 x for each level of `by`; and how far it moves.

    octaves: settings further from the lowest mean are not fitted
    where: only trials of these levels; or of any of several such sets of levels
    expected: of b in best `x` = a by^b, where the labels of `by` are numbers; the found one is compared with it
    """

    title: str
    x: str
    y: str
    by: str | None = None
    octaves: float = math.inf
    where: Where = dataclasses.field(default_factory=dict)
    expected: float | None = None

    def problems(self, at, axes, names, levels) -> Iterable[Problem]:
        by = (self.by,) if self.by else ()
        yield from unknown(at, {"x": self.x, "y": self.y}, by, axes, names)
        yield from unknown_levels(at, self.where, levels)
        levels = chosen_levels(levels, self.where)
        yield from no_numbers(at, self.x, axes, levels)
        if self.x in axes and self.by in (None, *axes):
            for group, own in grouped(levels, by).items():
                found = {level[self.x] for level in own}
                if len(found) < parabola.LEAST:
                    reason = (
                        f"{len(found)} levels of {self.x} at {group or 'all trials'}; a parabola needs {parabola.LEAST}"
                    )
                    yield Problem(at, sorted(found), reason, "add levels")

    def find(self, rows: Sequence[Row]) -> Finding:
        by = (self.by,) if self.by else ()
        rows = chosen(rows, self.where)
        statements, cells, curves, best, fitted = [], [], [], {}, []
        for cell, own in in_order(rows, by).items():
            label = cell[0] if cell else "all"
            x, y = zip(*((row.value(self.x), row.value(self.y)) for row in own), strict=True)
            try:
                found = parabola.optimum(x, y, self.octaves, where=f"{self.title}, {label}")
            except Refusal as refusal:
                statements += [str(problem) for problem in refusal.problems]
                continue
            cells.append((label, str(found.best), f"{found.lowest:.5g}", f"{found.curvature:.3g}",
                          f"{found.points} ({found.left_out} left out)"))  # fmt: skip
            statements += [f"{label}: {reservation}." for reservation in found.reservations]
            low, high = found.fitted
            fitted += [(label, u, v) for u, v in zip(x, y, strict=True) if v is not None and low <= u <= high]
            grid = np.geomspace(low, high, 60)
            curves.append(Series(label, tuple(grid), tuple(map(float, found.at(grid))), line=True, fit=True))
            if found.determined:
                best[label] = found.best
        if len(best) > 1:
            values = [figure.value for figure in best.values()]
            statements.append(f"Over {len(best)} levels of {self.by} the best {self.x} moves by a factor of "
                              f"{max(values) / min(values):.2f}; the widest interval spans a factor of "
                              f"{max(figure.factor for figure in best.values()):.2f}.")  # fmt: skip
        statements += self._drift(fitted)
        chart = Chart(
            self.x, self.y, (*lines(rows, self.x, self.y, by, line=False), *curves), log_x=True, by=self.by or ""
        )
        header = (
            self.by or "trials",
            f"best {self.x} (95% interval)",
            f"{self.y} there",
            "rise at a factor of 2",
            "points",
        )
        return Finding(self.title, tuple(statements), header, tuple(cells), chart)

    def _drift(self, fitted: Sequence[tuple[str, float, float]]) -> list[str]:
        """How the best setting goes with `by`. fitted: (level of `by`, setting, loss)"""
        if self.by is None or len({label for label, _, _ in fitted}) < 2 or not all(is_number(b) for b, _, _ in fitted):
            return []
        by, x, y = zip(*((float(label), u, v) for label, u, v in fitted), strict=True)
        try:
            found = drift.drift(x, by, y, where=self.title)
        except Refusal as refusal:
            return [str(problem) for problem in refusal.problems]
        told = f"One parabola for all levels of {self.by}, {found.points} points"
        expected = "" if self.expected is None else f" Expected was {self.expected:g}"
        if found.reservations:
            return [f"{told}: {'; '.join(found.reservations)}.{expected and f'{expected}: no verdict.'}"]
        told += f": the best {self.x} goes as {self.by} to the power of {found.exponent}."
        if self.expected is None:
            return [told]
        verdict = "holds" if found.exponent.holds(self.expected) else "does not hold"
        also = " It holds 0 too: no move is shown." if self.expected and found.exponent.holds(0.0) else ""
        return [f"{told}{expected}, which the interval {verdict}.{also}"]
