"""An evaluation in Markdown for a paper: figures with their standard error, and what is needed to read them again."""

from __future__ import annotations

from collections.abc import Sequence

from mdm.evaluation import notes, tables
from mdm.evaluation.evaluated import Evaluated
from mdm.evaluation.result import Result
from mdm.evaluation.tables import Table


def page(own: Evaluated) -> str:
    """All that is there of a step, a section each."""
    sections = [("Likelihood", table([*own.results, *own.orders]))] if own.results else []
    sections += [
        (title, f"{_markdown(show(lines))}\n\n{note(lines)}\n")
        for title, lines, show, note in (
            ("What it makes, measured", own.made, tables.generated, lambda made: notes.generated(made, own.absent)),
            ("Multiple choice", own.choices, tables.choices, notes.choices),
            ("lm-evaluation-harness", own.harness, tables.harness, notes.harness),
        )
        if lines
    ]
    if own.left_out:
        sections.append(("Left out", f"Not made with what the likelihood above was: {'; '.join(own.left_out)}.\n"))
    return "\n".join(f"## {title}\n\n{text}" for title, text in sections)


def table(results: Sequence[Result]) -> str:
    """A row for each task and modality, and under them what the figures need to be read again."""
    return f"{_markdown(tables.likelihood(results))}\n\n{notes.likelihood(results)}\n"


def _markdown(own: Table) -> str:
    rule = [":--" if number < own.text else "--:" for number in range(len(own.columns))]
    rows = [own.columns, rule, *([cell.replace("|", "\\|") for cell in row] for row in own.rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
