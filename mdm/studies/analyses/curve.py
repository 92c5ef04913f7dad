"""Lines of means: nothing is fitted."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from mdm.problems import Problem
from mdm.studies.analyses.analysis import Finding
from mdm.studies.analyses.lines import lines, no_numbers, unknown
from mdm.studies.chart import Chart
from mdm.studies.rows import Row


@dataclasses.dataclass(frozen=True)
class Curve:
    """Means over seeds of `y` against `x`, a line for each level of `by`. Nothing is fitted."""

    title: str
    x: str
    y: str
    by: tuple[str, ...] = ()
    log_x: bool = True
    log_y: bool = False

    def problems(self, at, axes, names, levels) -> Iterable[Problem]:
        yield from unknown(at, {"x": self.x, "y": self.y}, self.by, axes, names)
        yield from no_numbers(at, self.x, axes, levels, self.log_x)

    def find(self, rows: Sequence[Row]) -> Finding:
        chart = Chart(
            self.x, self.y, lines(rows, self.x, self.y, self.by), self.log_x, self.log_y, by=", ".join(self.by)
        )
        return Finding(self.title, (), (), (), chart)
