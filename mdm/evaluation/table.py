"""Results as a table for people: plain text for a terminal, Markdown for a page."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mdm.evaluation.result import Result

_COLUMNS: tuple[tuple[str, Callable[[Result], str]], ...] = (
    ("step", lambda r: "" if r.step is None else str(r.step)),
    ("split", lambda r: r.split),
    ("stream", lambda r: r.stream),
    ("task", lambda r: r.task),
    ("modality", lambda r: r.modality),
    ("documents", lambda r: str(r.documents)),
    ("tokens", lambda r: str(r.targets)),
    ("bits/token", lambda r: _figure(r.bits)),
    ("se noise", lambda r: _figure(r.se_noise)),
    ("se data", lambda r: _figure(r.se_data)),
    ("unigram", lambda r: _figure(r.unigram_bits)),
    ("uniform", lambda r: _figure(r.uniform_bits)),
    ("shuffled", lambda r: _figure(r.shuffled_bits)),
    ("worth", lambda r: _figure(r.condition_worth_bits)),
    ("se noise", lambda r: _figure(r.condition_worth_se_noise)),
    ("se data", lambda r: _figure(r.condition_worth_se_data)),
    ("bits/byte", lambda r: _figure(r.bits_per_byte)),
)
_TEXT = 5  # the first columns are read as text, the others as numbers


def plain(results: Sequence[Result]) -> str:
    """Aligned columns; those that are empty throughout are left out. "worth" is shuffled minus true."""
    header, cells = _cells(results)
    widths = [max(len(row[column]) for row in [header, *cells]) for column in range(len(header))]
    rule = ["-" * width for width in widths]
    return "\n".join(_line(row, widths, header).rstrip() for row in [header, rule, *cells])


def markdown(results: Sequence[Result]) -> str:
    """The same columns as a Markdown table."""
    header, cells = _cells(results)
    rule = [":--" if name in _text_names() else "--:" for name in header]
    return "\n".join(f"| {' | '.join(row)} |" for row in [header, rule, *cells])


def _cells(results: Sequence[Result]) -> tuple[list[str], list[list[str]]]:
    full = [(name, [cell(result) for result in results]) for name, cell in _COLUMNS]
    shown = [(name, column) for name, column in full if any(column)] or [(name, column) for name, column in full]
    return [name for name, _ in shown], [[column[i] for _, column in shown] for i in range(len(results))]


def _text_names() -> set[str]:
    return {name for name, _ in _COLUMNS[:_TEXT]}


def _line(row: list[str], widths: list[int], header: list[str]) -> str:
    texts = _text_names()
    cells = [c.ljust(w) if name in texts else c.rjust(w) for c, w, name in zip(row, widths, header, strict=True)]
    return "  ".join(cells)


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
