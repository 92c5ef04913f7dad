"""Results as a Markdown table for a paper: a row for each task and modality, figures with their standard error."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mdm.evaluation.result import UNITS, Result

_COLUMNS: tuple[tuple[str, Callable[[Result], str]], ...] = (
    ("split", lambda r: r.split),
    ("task", lambda r: r.task),
    ("of", lambda r: r.modality),
    ("measure", lambda r: r.what + ("" if r.order is None else f", {r.order} x {len(r.seeds)}")),
    ("documents", lambda r: f"{r.documents:,}"),
    ("bits/token", lambda r: _with_error(r.bits, r.se_data)),
    ("mixture", lambda r: _figure(r.mixture_bits)),
    ("perplexity", lambda r: _figure(r.perplexity, 1)),
    *((f"bits/{unit}", lambda r, unit=unit: _figure(getattr(r, f"bits_per_{unit}"))) for unit in UNITS),
    ("unigram", lambda r: _figure(r.unigram_bits)),
    ("condition is worth", lambda r: _with_error(r.condition_worth_bits, r.condition_worth_se_data)),
)
_TEXT = 4  # the first columns are read as text, the others as numbers


def table(results: Sequence[Result]) -> str:
    """The table, and under it what its figures need to be read again. Columns that are empty throughout are left out."""
    full = [(name, [cell(result) for result in results]) for name, cell in _COLUMNS]
    shown = [(number, name, cells) for number, (name, cells) in enumerate(full) if any(cells)]
    rule = [":--" if number < _TEXT else "--:" for number, _, _ in shown]
    rows = [[name for _, name, _ in shown], rule, *zip(*(cells for _, _, cells in shown), strict=True)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + f"\n\n{_note(results)}\n"


def _note(results: Sequence[Result]) -> str:
    steps = sorted({r.step for r in results if r.step is not None})
    noise = sorted({(r.samples, len(r.seeds)) for r in results if r.order is None})
    told = [f"Step {', '.join(map(str, steps))}"] if steps else []
    told += [f"weights {w}" for w in sorted({r.weights for r in results if r.weights})]
    told += [f"config {c}" for c in sorted({r.config for r in results if r.config})]
    told += [f"data {d}" for d in sorted({r.data for r in results})]
    told += [f"{samples} mask counts x {seeds} seeds a document" for samples, seeds in noise]
    told += ["± is one standard error over documents (bootstrap over concepts)"]
    return "; ".join(told) + "."


def _with_error(value: float | None, error: float | None) -> str:
    return _figure(value) + ("" if value is None or error is None else f" ± {error:.3f}")


def _figure(value: float | None, digits: int = 3) -> str:
    return "" if value is None else f"{value:,.{digits}f}"
