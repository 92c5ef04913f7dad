"""A power law between two figures."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

from mdm.problems import Problem, Refusal
from mdm.studies.analyses.analysis import Finding
from mdm.studies.analyses.lines import cell_of, grouped, lines, no_numbers, unknown
from mdm.studies.chart import Chart, Series
from mdm.studies.fits import power_law
from mdm.studies.rows import Row, groups


@dataclasses.dataclass(frozen=True)
class PowerFit:
    """y = a x^b, for each level of `by`."""

    title: str
    x: str
    y: str
    by: tuple[str, ...] = ()

    def problems(self, at, axes, names, levels) -> Iterable[Problem]:
        yield from unknown(at, {"x": self.x, "y": self.y}, self.by, axes, names)
        yield from no_numbers(at, self.x, axes, levels)
        if set(self.by) <= set(axes):
            for group, own in grouped(levels, self.by).items():
                # A figure takes at most a value for each combination of levels; seeds do not change a size.
                found = {level[self.x] if self.x in axes else cell_of(level) for level in own}
                if len(found) < power_law.LEAST:
                    reason = f"{len(found)} values of {self.x} at {group or 'all trials'}; it needs {power_law.LEAST}"
                    yield Problem(at, None, reason, "add levels")

    def find(self, rows: Sequence[Row]) -> Finding:
        statements, cells, curves = [], [], []
        for cell, own in groups(rows, self.by).items():
            label = ", ".join(cell) or "all"
            points = [(x, row.value(self.y)) for row in own if (x := row.value(self.x)) is not None]
            try:
                found = power_law.power_law(*zip(*points, strict=True), where=f"{self.title}, {label}")
            except Refusal as refusal:
                statements += [str(problem) for problem in refusal.problems]
                continue
            cells.append((label, str(found.factor), str(found.exponent), f"{found.scatter:.3g}", str(found.points)))
            statements += [f"{label}: {reservation}." for reservation in found.reservations]
            grid = np.geomspace(min(x for x, _ in points), max(x for x, _ in points), 40)
            curves.append(Series(label, tuple(grid), tuple(map(float, found.at(grid))), line=True, fit=True))
        series = (*lines(rows, self.x, self.y, self.by, line=False), *curves)
        header = (", ".join(self.by) or "trials", "a (95% interval)", "b (95% interval)", "scatter of ln y", "points")
        return Finding(
            self.title,
            tuple(statements),
            header,
            tuple(cells),
            Chart(self.x, self.y, series, True, True, by=", ".join(self.by)),
        )
