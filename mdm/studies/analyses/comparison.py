"""Levels of one axis against a reference level, seed by seed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from mdm.problems import Problem
from mdm.studies.analyses.analysis import Finding
from mdm.studies.analyses.lines import Where, beside, chosen, unknown, unknown_levels
from mdm.studies.chart import Chart
from mdm.studies.fits.paired import apart, holm, legend, told
from mdm.studies.rows import Row, groups


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Mean difference of `figures` to the level `reference` of `axis`, over pairs of trials that differ in this axis alone.

    Pairs share their seed, and with it initial parameters and rows: their difference scatters less than either of them.
    where: only trials of these levels; or of any of several such sets of levels
    by: axes of whose levels each is compared for itself; pairs of all others are taken together
    """

    title: str
    axis: str
    reference: str
    figures: tuple[str, ...]
    where: Where = dataclasses.field(default_factory=dict)
    by: tuple[str, ...] = ()

    def problems(self, at, axes, names, levels) -> Iterable[Problem]:
        yield from unknown(
            at, {f"figures[{n}]": name for n, name in enumerate(self.figures)}, (self.axis, *self.by), axes, names
        )
        yield from unknown_levels(at, self.where, levels)
        yield from unknown_levels(at, {self.axis: self.reference}, levels)

    def find(self, rows: Sequence[Row]) -> Finding:
        rows = chosen(rows, self.where)
        base = {self._rest(row): row for row in rows if row.levels[self.axis] == self.reference}
        others = [row for row in rows if row.levels[self.axis] != self.reference]
        own = groups([row for row in others if self._rest(row) in base], (self.axis, *self.by))
        found = {}
        for cell, some in own.items():
            for name in self.figures:
                pairs = [
                    (row.value(name), base[self._rest(row)].value(name)) for row in some if self._rest(row) in base
                ]
                found[cell, name] = apart(pairs, relative=False)
        if not any(one.count for one in found.values()):
            return Finding(self.title, ("No pair is finished.",), (), (), None)
        differs = dict(zip(found, holm(list(found.values())), strict=True))
        cells = [(*cell, *(told(found[cell, name], 0.0, differs[cell, name]) for name in self.figures)) for cell in own]
        what = f"difference to {self.axis} {self.reference}"
        series = beside(self.figures, [[found[cell, name].interval for cell in own] for name in self.figures])
        said = f"Mean {what} (95% interval of each alone) [pairs]; {legend(list(found.values()), 0.0)}"
        # One level beside the reference need not be named at every place.
        alone = bool(self.by) and len({cell[0] for cell in own}) == 1
        names = tuple(", ".join(cell[1:] if alone else cell) for cell in own)
        y = f"{self.figures[0]},\n{what}" if len(self.figures) == 1 else what
        chart = Chart(", ".join(self.by) if alone else self.axis, y, series, names=names, zero=0.0)
        return Finding(self.title, (said,), (self.axis, *self.by, *self.figures), tuple(cells), chart)

    def _rest(self, row: Row) -> tuple:
        return tuple(label for axis, label in row.levels.items() if axis != self.axis)
