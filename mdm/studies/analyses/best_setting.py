"""The best of a setting, and how it moves."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from mdm.problems import Problem, Refusal
from mdm.studies.analyses.analysis import Finding
from mdm.studies.analyses.lines import chosen, chosen_levels, grouped, lines, no_numbers, unknown, unknown_levels
from mdm.studies.chart import Chart, Series
from mdm.studies.fits import parabola, power_law
from mdm.studies.fits.interval import Interval
from mdm.studies.rows import Row, groups, is_number


@dataclasses.dataclass(frozen=True)
class BestSetting:
    """The setting `x` with the lowest `y`, by a parabola in log2 x for each level of `by`; and how far it moves.

    octaves: settings further from the lowest mean are not fitted
    where: only trials of these levels
    expected: of b in best `x` = a by^b, where the labels of `by` are numbers; the found one is compared with it
    """

    title: str
    x: str
    y: str
    by: str | None = None
    octaves: float = math.inf
    where: Mapping[str, str] = dataclasses.field(default_factory=dict)
    expected: float | None = None

    def problems(self, at, axes, names, levels) -> Iterable[Problem]:
        by = (self.by,) if self.by else ()
        yield from unknown(at, {"x": self.x, "y": self.y}, by, axes, names)
        yield from no_numbers(at, self.x, axes, levels)
        yield from unknown_levels(at, self.where, levels)
        levels = chosen_levels(levels, self.where)
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
        statements, cells, curves, best = [], [], [], {}
        for (label, *_), own in ((cell or ("all",), rows) for cell, rows in groups(rows, by).items()):
            x, y = zip(*((row.value(self.x), row.value(self.y)) for row in own), strict=True)
            try:
                found = parabola.optimum(x, y, self.octaves, where=f"{self.title}, {label}")
            except Refusal as refusal:
                statements += [str(problem) for problem in refusal.problems]
                continue
            cells.append((label, str(found.best), f"{found.lowest:.5g}", f"{found.curvature:.3g}",
                          f"{found.points} ({found.left_out} left out)"))  # fmt: skip
            statements += [f"{label}: {reservation}." for reservation in found.reservations]
            grid = np.geomspace(*found.fitted, 60)
            curves.append(Series(label, tuple(grid), tuple(map(float, found.at(grid))), line=True, fit=True))
            if found.determined:
                best[label] = found.best
        if len(best) > 1:
            values = [figure.value for figure in best.values()]
            statements.append(f"Over {len(best)} levels of {self.by} the best {self.x} moves by a factor of "
                              f"{max(values) / min(values):.2f}; the widest interval spans a factor of "
                              f"{max(figure.factor for figure in best.values()):.2f}.")  # fmt: skip
            statements += self._drift(best)
        chart = Chart(self.x, self.y, (*lines(rows, self.x, self.y, by, line=False), *curves), log_x=True)
        header = (
            self.by or "trials",
            f"best {self.x} (95% interval)",
            f"{self.y} there",
            "rise at a factor of 2",
            "points",
        )
        return Finding(self.title, tuple(statements), header, tuple(cells), chart)

    def _drift(self, best: Mapping[str, Interval]) -> list[str]:
        """How the best setting goes with `by`."""
        if not all(is_number(label) for label in best) or len(best) < power_law.LEAST:
            return []
        x, y = [float(label) for label in best], [figure.value for figure in best.values()]
        exponent = power_law.power_law(x, y, where=self.title).exponent
        told = f"The best {self.x} goes as {self.by} to the power of {exponent}"
        if self.expected is None:
            return [f"{told}."]
        verdict = "holds" if exponent.holds(self.expected) else "does not hold"
        return [f"{told}; expected was {self.expected:g}, which the interval {verdict}."]
