"""Figures of the same trials against one of them."""

from __future__ import annotations

import dataclasses
import posixpath
from collections.abc import Iterable, Mapping, Sequence

from mdm.problems import Problem
from mdm.studies.analyses.analysis import Finding
from mdm.studies.analyses.lines import beside, chosen, unknown, unknown_levels
from mdm.studies.chart import Chart
from mdm.studies.fits.paired import apart, holm, legend, told
from mdm.studies.rows import Row


@dataclasses.dataclass(frozen=True)
class Ratios:
    """Geometric mean, over trials, of each of `figures` over `reference`. where: only trials of these levels"""

    title: str
    figures: tuple[str, ...]
    reference: str
    where: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def problems(self, at, axes, names, levels) -> Iterable[Problem]:
        fields = {"reference": self.reference, **{f"figures[{n}]": name for n, name in enumerate(self.figures)}}
        yield from unknown(at, fields, (), axes, names)
        yield from unknown_levels(at, self.where, levels)

    def find(self, rows: Sequence[Row]) -> Finding:
        others = [name for name in self.figures if name != self.reference]
        pairs = {
            name: [(row.value(name), row.value(self.reference)) for row in chosen(rows, self.where)] for name in others
        }
        found = {name: apart(own, relative=True) for name, own in pairs.items()}
        if not any(own.count for own in found.values()):
            return Finding(self.title, ("No trial is finished.",), (), (), None)
        what = f"ratio to {self.reference}"
        series = beside((what,), [[found[name].interval for name in others]])
        differs = dict(zip(others, holm([found[name] for name in others]), strict=True))
        cells = tuple((name, told(found[name], 1.0, differs[name])) for name in others)
        said = f"Geometric mean over trials (95% interval of each alone) [trials]; {legend(list(found.values()), 1.0)}"
        shared = posixpath.commonpath([self.reference, *others])
        short = [
            name.removeprefix(f"{shared}/") for name in (self.reference, *others)
        ]  # a small chart has no room for more
        chart = Chart(shared, f"ratio to {short[0]}", series, names=tuple(short[1:]), zero=1.0)
        return Finding(self.title, (said,), ("figure", what), cells, chart)
