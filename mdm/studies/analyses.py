"""Analyses: what is fitted to the finished trials of a study and shown. A new one is a class with the members of `Analysis`.

`x` and `by` name axes or figures: the value of an axis is its label, which must then be a number.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol

import numpy as np

from mdm.problems import Problem, Refusal
from mdm.studies.chart import Chart, Series
from mdm.studies.fits import parabola, power_law, scaling_law
from mdm.studies.rows import SEED, Row, groups, is_number, mean


@dataclasses.dataclass(frozen=True)
class Finding:
    """What came of an analysis. statements: sentences; header, cells: a table; chart: None if there is nothing to draw."""

    title: str
    statements: tuple[str, ...]
    header: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]
    chart: Chart | None


class Analysis(Protocol):
    title: str

    def problems(
        self, at: str, axes: Collection[str], names: Collection[str], levels: Sequence[Mapping[str, str]]
    ) -> Iterable[Problem]:
        """What is wrong with it in a study of these axes, figures, and levels of the trials."""

    def find(self, rows: Sequence[Row]) -> Finding:
        """From what is finished, also if that is little."""


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
        yield from _unknown(at, {"x": self.x, "y": self.y}, self.by, axes, names)
        yield from _no_numbers(at, self.x, axes, levels)

    def find(self, rows: Sequence[Row]) -> Finding:
        chart = Chart(self.x, self.y, _lines(rows, self.x, self.y, self.by), self.log_x, self.log_y)
        return Finding(self.title, (), (), (), chart)


@dataclasses.dataclass(frozen=True)
class BestSetting:
    """The setting `x` with the lowest `y`, by a parabola in log2 x for each level of `by`; and how far it moves.

    octaves: settings further from the lowest mean are not fitted
    """

    title: str
    x: str
    y: str
    by: str | None = None
    octaves: float = math.inf

    def problems(self, at, axes, names, levels) -> Iterable[Problem]:
        by = (self.by,) if self.by else ()
        yield from _unknown(at, {"x": self.x, "y": self.y}, by, axes, names)
        yield from _no_numbers(at, self.x, axes, levels)
        if self.x in axes and self.by in (None, *axes):
            for group, own in _grouped(levels, by).items():
                found = {level[self.x] for level in own}
                if len(found) < parabola.LEAST:
                    reason = (
                        f"{len(found)} levels of {self.x} at {group or 'all trials'}; a parabola needs {parabola.LEAST}"
                    )
                    yield Problem(at, sorted(found), reason, "add levels")

    def find(self, rows: Sequence[Row]) -> Finding:
        by = (self.by,) if self.by else ()
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
        chart = Chart(self.x, self.y, (*_lines(rows, self.x, self.y, by, line=False), *curves), log_x=True)
        header = (
            self.by or "trials",
            f"best {self.x} (95% interval)",
            f"{self.y} there",
            "rise at a factor of 2",
            "points",
        )
        return Finding(self.title, tuple(statements), header, tuple(cells), chart)


@dataclasses.dataclass(frozen=True)
class PowerFit:
    """y = a x^b, for each level of `by`."""

    title: str
    x: str
    y: str
    by: tuple[str, ...] = ()

    def problems(self, at, axes, names, levels) -> Iterable[Problem]:
        yield from _unknown(at, {"x": self.x, "y": self.y}, self.by, axes, names)
        yield from _no_numbers(at, self.x, axes, levels)
        if set(self.by) <= set(axes):
            for group, own in _grouped(levels, self.by).items():
                # A figure takes at most a value for each combination of levels; seeds do not change a size.
                found = {level[self.x] if self.x in axes else _cell(level) for level in own}
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
        lines = (*_lines(rows, self.x, self.y, self.by, line=False), *curves)
        header = (", ".join(self.by) or "trials", "a (95% interval)", "b (95% interval)", "scatter of ln y", "points")
        return Finding(self.title, tuple(statements), header, tuple(cells), Chart(self.x, self.y, lines, True, True))


@dataclasses.dataclass(frozen=True)
class ScalingFit:
    """L(N, D) = E + A / N^alpha + B / D^beta, and tokens D*(N) of the compute-optimal frontier for C = 6 N D.

    expected: (k, exponent) of a D*(N) = k N^exponent that the result is compared with
    """

    title: str
    y: str
    parameters: str = "parameters"
    tokens: str = "tokens"
    expected: tuple[float, float] | None = None

    def problems(self, at, axes, names, levels) -> Iterable[Problem]:
        fields = {"y": self.y, "parameters": self.parameters, "tokens": self.tokens}
        yield from _unknown(at, fields, (), axes, names)
        sizes = {_cell(level) for level in levels}
        if len(sizes) < scaling_law.LEAST_RUNS:
            reason = f"{len(sizes)} trials beside seeds; five coefficients need {scaling_law.LEAST_RUNS}"
            yield Problem(at, None, reason, "add sizes")

    def find(self, rows: Sequence[Row]) -> Finding:
        runs = [(row.value(self.parameters), row.value(self.tokens), row.value(self.y)) for row in rows]
        runs = [(n, d, loss) for n, d, loss in runs if n is not None and d is not None]
        try:
            found = scaling_law.scaling_law(*zip(*runs, strict=True), where=self.title) if runs else None
        except Refusal as refusal:
            return Finding(
                self.title, tuple(str(problem) for problem in refusal.problems), (), (), self._chart(runs, None)
            )
        if found is None:
            return Finding(self.title, ("No run is finished.",), (), (), None)
        statements = [f"{reservation[0].upper()}{reservation[1:]}." for reservation in found.reservations]
        if self.expected:
            k, exponent = self.expected
            verdict = "holds" if found.exponent.holds(exponent) else "does not hold"
            statements.append(
                f"Expected was D*(N) = {k:g} N^{exponent:g}; the interval of the exponent {verdict} {exponent:g}."
            )
        statements.append(f"Residuals of log L: at most {np.abs(found.residuals).max():.2g}, "
                          f"root mean square {np.sqrt(np.square(found.residuals).mean()):.2g}.")  # fmt: skip
        cells = [(name, str(figure)) for name, figure in found.coefficients.items()]
        cells += [
            ("exponent of D*(N) = alpha / beta", str(found.exponent)),
            ("k of D*(N) = k N^exponent", str(found.factor)),
        ]
        for n in sorted({n for n, _, _ in runs}):
            cells.append((f"D*({n:.3g})", f"{float(found.best_tokens(n)):.3g} tokens"))
        return Finding(
            self.title, tuple(statements), ("figure", "value (95% interval)"), tuple(cells), self._chart(runs, found)
        )

    def _chart(self, runs, found) -> Chart:
        lines = []
        for n in sorted({n for n, _, _ in runs}):
            own = sorted((d, loss) for m, d, loss in runs if m == n and loss is not None)
            lost = tuple(d for m, d, loss in runs if m == n and loss is None)
            x, y = zip(*own, strict=True) if own else ((), ())
            lines.append(Series(f"N = {n:.3g}", x, y, diverged=lost))
            if found and own:
                grid = np.geomspace(min(x), max(x), 40)
                lines.append(
                    Series(f"N = {n:.3g}", tuple(grid), tuple(map(float, found.at(n, grid))), line=True, fit=True)
                )
        return Chart(self.tokens, self.y, tuple(lines), log_x=True, log_y=True)


def _lines(rows: Sequence[Row], x: str, y: str, by: Sequence[str], line: bool = True) -> tuple[Series, ...]:
    """Means over the rows of one x and one level of `by`."""
    found = []
    for cell, own in groups(rows, by).items():
        places = sorted({value for row in own if (value := row.value(x)) is not None})
        means = [mean([row.value(y) for row in own if row.value(x) == place]) for place in places]
        shown = [(place, m.mean, m.error or 0.0) for place, m in zip(places, means, strict=True) if m.mean is not None]
        lost = tuple(place for place, m in zip(places, means, strict=True) if m.diverged)
        u, v, error = zip(*shown, strict=True) if shown else ((), (), ())
        found.append(Series(", ".join(cell) or "all", u, v, error, line, diverged=lost))
    return tuple(found)


def _cell(level: Mapping[str, str]) -> tuple:
    return tuple(label for axis, label in level.items() if axis != SEED)


def _grouped(levels: Sequence[Mapping[str, str]], by: Sequence[str]) -> dict[str, list[Mapping[str, str]]]:
    found: dict[str, list[Mapping[str, str]]] = {}
    for level in levels:
        found.setdefault(", ".join(f"{axis} {level[axis]}" for axis in by), []).append(level)
    return found


def _unknown(at: str, fields: Mapping[str, str], by: Sequence[str], axes, names) -> Iterable[Problem]:
    known = (*axes, *sorted(names))
    for field, name in fields.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            remedy = f"did you mean {near[0]}?" if near else f"use one of {', '.join(known)}"
            yield Problem(f"{at}.{field}", name, "is neither an axis nor a figure of every trial", remedy)
    for name in by:
        if name not in axes:
            yield Problem(f"{at}.by", name, "is not an axis", f"use one of {', '.join(axes)}")


def _no_numbers(at: str, name: str, axes, levels) -> Iterable[Problem]:
    if name in axes:
        for label in dict.fromkeys(level[name] for level in levels if name in level):
            if not is_number(label):
                yield Problem(f"{at}.x", f"{name} {label}", "is not a number", "label the levels with their values")
