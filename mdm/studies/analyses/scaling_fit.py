"""The scaling law of a study."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

from mdm.problems import Problem, Refusal
from mdm.studies.analyses.analysis import Finding
from mdm.studies.analyses.lines import cell_of, unknown
from mdm.studies.chart import Chart, Series
from mdm.studies.fits import scaling_law
from mdm.studies.rows import Row


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
        yield from unknown(at, fields, (), axes, names)
        sizes = {cell_of(level) for level in levels}
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
