"""The scaling law of a study."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from mdm.problems import Problem, Refusal
from mdm.studies.analyses.analysis import Finding
from mdm.studies.analyses.lines import cell_of, unknown
from mdm.studies.chart import Chart, Series
from mdm.studies.fits import scaling_law
from mdm.studies.rows import Row

_OPEN = "not determined"


class _Run(NamedTuple):
    n: float | None
    d: float | None
    loss: float | None
    passes: float | None

    @property
    def repeated(self) -> bool:
        return self.passes is not None and self.passes > 1


@dataclasses.dataclass(frozen=True)
class ScalingFit:
    """L(N, D) = E + A / N^alpha + B / D^beta, and tokens D*(N) of the compute-optimal frontier for C = 6 N D.

    expected: (k, exponent) of a D*(N) = k N^exponent that the result is compared with
    passes:   figure of how often a run went through its data: where that is above 1 its points are drawn empty, for the law is
              about data that are new
    """

    title: str
    y: str
    parameters: str = "parameters"
    tokens: str = "tokens"
    expected: tuple[float, float] | None = None
    passes: str = "passes"

    def problems(self, at, axes, names, levels) -> Iterable[Problem]:
        fields = {"y": self.y, "parameters": self.parameters, "tokens": self.tokens, "passes": self.passes}
        yield from unknown(at, fields, (), axes, names)
        sizes = {cell_of(level) for level in levels}
        if len(sizes) < scaling_law.LEAST_RUNS:
            reason = f"{len(sizes)} trials beside seeds; five coefficients need {scaling_law.LEAST_RUNS}"
            yield Problem(at, None, reason, "add sizes")

    def find(self, rows: Sequence[Row]) -> Finding:
        runs = [
            _Run(*(row.value(name) for name in (self.parameters, self.tokens, self.y, self.passes))) for row in rows
        ]
        runs = [run for run in runs if run.n is not None and run.d is not None]
        columns = [[getattr(run, name) for run in runs] for name in ("n", "d", "loss")]
        try:
            found = scaling_law.scaling_law(*columns, where=self.title) if runs else None
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
            verdict = f"the interval of the exponent {verdict} {exponent:g}" if found.determined else "no verdict"
            statements.append(f"Expected was D*(N) = {k:g} N^{exponent:g}: {verdict}.")
        if repeated := [run for run in runs if run.repeated]:
            statements.append(f"{len(repeated)} of {len(runs)} runs went through a stream of their data more than once, up to "
                              f"{max(run.passes for run in repeated):.2g} times: repeated data, drawn empty, and fitted with the "
                              "others.")  # fmt: skip
        statements.append(f"Residuals of log L: at most {np.abs(found.residuals).max():.2g}, "
                          f"root mean square {np.sqrt(np.square(found.residuals).mean()):.2g}.")  # fmt: skip
        k, exponent = self.expected or (None, None)
        of_expected = lambda value: () if self.expected is None else (value,)  # noqa: E731
        cells = [(name, str(figure), *of_expected("")) for name, figure in found.coefficients.items()]
        cells += [
            ("exponent of D*(N) = alpha / beta", str(found.exponent), *of_expected(f"{exponent}")),
            ("k of D*(N) = k N^exponent", str(found.factor) if found.determined else _OPEN, *of_expected(f"{k}")),
        ]
        for n in sorted({run.n for run in runs}):
            # Of an exponent that is not determined, a power of N is no number of tokens.
            best = f"{float(found.best_tokens(n)):.3g} tokens" if found.determined else _OPEN
            cells.append((f"D*({n:.3g})", best,
                          *of_expected(f"{k * n**exponent if self.expected else 0:.3g} tokens")))  # fmt: skip
        header = ("figure", "value (95% interval)", *of_expected("expected"))
        return Finding(self.title, tuple(statements), header, tuple(cells), self._chart(runs, found))

    def _chart(self, runs, found) -> Chart:
        lines = []
        for n in sorted({run.n for run in runs}):
            own = [run for run in runs if run.n == n and run.loss is not None]
            lost = tuple(run.d for run in runs if run.n == n and run.loss is None)
            for hollow in (False, True):
                some = sorted((run.d, run.loss) for run in own if run.repeated == hollow)
                x, y = zip(*some, strict=True) if some else ((), ())
                if some or not hollow:
                    lines.append(Series(f"N = {n:.3g}", x, y, diverged=() if hollow else lost, hollow=hollow))
            if found and own:
                grid = np.geomspace(min(run.d for run in own), max(run.d for run in own), 40)
                lines.append(
                    Series(f"N = {n:.3g}", tuple(grid), tuple(map(float, found.at(n, grid))), line=True, fit=True)
                )
        return Chart(self.tokens, self.y, tuple(lines), log_x=True, log_y=True)
