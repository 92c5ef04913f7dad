"""What several steps or runs make and answer, beside each other: a column each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mdm.evaluation import measured, tables
from mdm.evaluation.evaluated import Evaluated
from mdm.evaluation.folder import Line
from mdm.evaluation.generated import Generated
from mdm.evaluation.tables import Table

OTHERWISE, OTHER_DATA = "made otherwise", "other data"
"""In the place of a figure that does not compare with that of the first column."""


def figures(columns: Mapping[str, Evaluated]) -> Table | None:
    """Of what is made, those that the first column has. None if there are none, or nothing beside them."""
    first, *others = columns.values()
    rows = [
        [g.split, g.stream or "", g.task, g.modality, measured.figure(g), measured.sign(g), _measured(g)]
        + [_figure(g, first, other) for other in others]
        for g in first.made
        if g.model is not None
    ]
    return _table(["split", "stream", "task", "of", "figure", "better"], columns, rows)


def choices(columns: Mapping[str, Evaluated]) -> Table | None:
    """Right answers in percent, by the files of the first column. None as for `figures`."""
    _, *others = columns.values()
    own = next(iter(columns.values())).choices
    rows = [
        [line["name"], line["scoring"]["method"], _right(line)] + [_choice(line, o) for o in others] for line in own
    ]
    return _table(["file", "scoring"], columns, rows)


def _table(texts: Sequence[str], columns: Mapping[str, Evaluated], rows: list[list[str]]) -> Table | None:
    beside = len(texts) + 1
    return Table([*texts, *columns], len(texts), rows) if any(any(row[beside:]) for row in rows) else None


def _figure(own: Generated, first: Evaluated, other: Evaluated) -> str:
    place = lambda g: (g.split, g.stream, g.task, g.modality, g.what, g.unit)  # noqa: E731
    how = lambda g: (g.documents, g.seeds, g.sampler)  # noqa: E731
    data = lambda e: {r.data for r in e.results}  # noqa: E731
    return _beside(own, other.made, place, how, _measured) if data(first) == data(other) else OTHER_DATA


def _choice(own: Line, other: Evaluated) -> str:
    scoring = lambda line: {name: value for name, value in line["scoring"].items() if name != "batch_rows"}  # noqa: E731
    return _beside(own, other.choices, lambda line: line["name"], lambda line: (line["data"], scoring(line)), _right)


def _beside(own: Any, others: Sequence[Any], place: Callable, how: Callable, cell: Callable[[Any], str]) -> str:
    """Of the one in the same place: its cell if it was made in the same way, else that it was not."""
    found = [other for other in others if place(other) == place(own)]
    return "" if not found else cell(found[0]) if how(found[0]) == how(own) else OTHERWISE


def _measured(g: Generated) -> str:
    return measured.cells(g, ())[0]


def _right(line: Line) -> str:
    return tables.with_error(line["accuracy"], line["se_data"], 100, 1)
