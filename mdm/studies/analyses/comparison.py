"""Levels of one axis against a reference level, seed by seed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from mdm.problems import Problem
from mdm.studies.analyses.analysis import Finding
from mdm.studies.analyses.lines import beside, chosen, unknown, unknown_levels
from mdm.studies.chart import Chart
from mdm.studies.fits.paired import apart, told
from mdm.studies.rows import Row


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Mean difference of `figures` to the level `reference` of `axis`, over pairs of trials that differ in this axis alone.

    Pairs share their seed, and with it initial parameters and rows: their difference scatters less than either of them.
    where: only trials of these levels
    """

    title: str
    axis: str
    reference: str
    figures: tuple[str, ...]
    where: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def problems(self, at, axes, names, levels) -> Iterable[Problem]:
        yield from unknown(
            at, {f"figures[{n}]": name for n, name in enumerate(self.figures)}, (self.axis,), axes, names
        )
        yield from unknown_levels(at, {**self.where, self.axis: self.reference}, levels)

    def find(self, rows: Sequence[Row]) -> Finding:
        rows = chosen(rows, self.where)
        base = {self._rest(row): row for row in rows if row.levels[self.axis] == self.reference}
        labels = list(dict.fromkeys(row.levels[self.axis] for row in rows if row.levels[self.axis] != self.reference))
        found = {}
        for label in labels:
            own = [row for row in rows if row.levels[self.axis] == label and self._rest(row) in base]
            for name in self.figures:
                pairs = [(row.value(name), base[self._rest(row)].value(name)) for row in own]
                found[label, name] = apart(pairs, relative=False)
        if not any(count for _, count in found.values()):
            return Finding(self.title, ("No pair is finished.",), (), (), None)
        cells = [(label, *(told(*found[label, name], 0.0) for name in self.figures)) for label in labels]
        what = f"difference to {self.reference}"
        series = beside(self.figures, [[found[label, name][0] for label in labels] for name in self.figures])
        said = f"Mean {what} (95% interval) [pairs]; ≠: the interval does not hold 0."
        chart = Chart(self.axis, what, series, names=tuple(labels), zero=0.0)
        return Finding(self.title, (said,), (self.axis, *self.figures), tuple(cells), chart)

    def _rest(self, row: Row) -> tuple:
        return tuple(label for axis, label in row.levels.items() if axis != self.axis)
