"""What an analysis is: it is fitted to the finished trials of a study and shown. A new one is a class with these members.

`x` and `by` of an analysis name axes or figures: the value of an axis is its label, which must then be a number.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol

from mdm.problems import Problem
from mdm.studies.chart import Chart
from mdm.studies.rows import Row


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
