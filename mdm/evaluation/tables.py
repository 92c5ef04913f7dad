"""Tables of an evaluation for people, as texts: a paper and a page print the same ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from mdm.evaluation import measured
from mdm.evaluation.document_scores import DocumentScores, paired
from mdm.evaluation.evaluated import Evaluated
from mdm.evaluation.generated import Generated
from mdm.evaluation.result import UNITS, Result

Place = tuple[str, str, str, str]
"""Split, stream, task, modality."""


class Table(NamedTuple):
    """columns: their names; text: of which so many are read as text, the others as numbers; rows: a text for each column."""

    columns: Sequence[str]
    text: int
    rows: Sequence[Sequence[str]]


def place(result: Result | DocumentScores) -> Place:
    return result.split, result.stream, result.task, result.modality


def shares_a_task(found: Iterable[Result | Generated]) -> bool:
    """Whether several streams have the same task, so that it has to be told of which a figure is."""
    streams: dict[str, set] = {}
    for one in found:
        streams.setdefault(one.task, set()).add(one.stream)
    return any(len(own) > 1 for own in streams.values())


def likelihood(results: Sequence[Result]) -> Table:
    """By the ELBO and by the chain rule, a row each."""
    columns = [*_place(results), *_LIKELIHOOD]
    return _table(columns, results, text=len(columns) - len(_LIKELIHOOD) + 1)


def generated(made: Sequence[Generated]) -> Table:
    columns = [*_place(made), *_GENERATED]
    return _table(columns, made, text=len(columns) - len(_GENERATED) + 2)


def choices(lines: Sequence[Mapping[str, Any]]) -> Table:
    return _table(_CHOICES, lines, text=2)


def harness(lines: Sequence[Mapping[str, Any]]) -> Table:
    return _table(_HARNESS, lines, text=3)


def steps(history: Mapping[int, Sequence[Result]], most: int = 6) -> Table:
    """Bits a token over the steps: at most so many, spread evenly, the first and the last among them."""
    last, shown = history[max(history)], spread(history, most)
    at = {step: {place(r): r for r in history[step]} for step in shown}
    cell = lambda r, step: bits(at[step][place(r)]) if place(r) in at[step] else ""  # noqa: E731
    columns = [*_place(last), *((f"step {step}", lambda r, step=step: cell(r, step)) for step in shown)]
    return _table(columns, last, text=len(columns) - len(shown))


def spread(steps: Iterable[int], most: int = 6) -> list[int]:
    """At most so many of them, evenly, in order, the first and the last among them."""
    every = sorted(steps)
    return sorted({every[round(n * (len(every) - 1) / max(most - 1, 1))] for n in range(most)})


def against(own: Evaluated, name: str, others: Mapping[str, Evaluated]) -> Table:
    """Bits a token of several runs on the same tasks, and what each has more than the first: document by document where both
    kept what these cost, else with the error of independent means."""
    costs = _costs(own)
    columns = [*_place(own.results), (name, bits)]
    text = len(columns) - 1
    for other, found in others.items():
        at, theirs = {place(r): r for r in found.results}, _costs(found)
        there = lambda r, at=at: at[place(r)] if place(r) in at else None  # noqa: E731
        pair = lambda r, theirs=theirs: [c[place(r)] for c in (theirs, costs) if place(r) in c]  # noqa: E731
        columns += [
            (other, lambda r, there=there: bits(there(r)) if there(r) else ""),
            ("difference", lambda r, there=there, pair=pair: _difference(r, there(r), pair(r))),
        ]
    return Table([c for c, _ in columns], text, [[cell(r) for _, cell in columns] for r in own.results])


def _costs(own: Evaluated) -> dict[tuple, DocumentScores]:
    """By place, of the likelihood by the ELBO."""
    of = {place(r): (r.weights, r.data) for r in own.results}
    return {
        place(d): d
        for d in own.documents
        if d.what == "likelihood" and place(d) in of and (d.weights, d.data) == of[place(d)]
    }


def bits(result: Result) -> str:
    return with_error(result.bits, result.se_data)


def with_error(value: float | None, error: float | None, factor: float = 1, digits: int = 3) -> str:
    return number(value, digits, factor) + ("" if value is None or error is None else f" ± {factor * error:.{digits}f}")


def number(value: float | None, digits: int = 3, factor: float = 1) -> str:
    return "" if value is None else f"{factor * value:,.{digits}f}"


def _difference(own: Result, other: Result | None, costs: Sequence[DocumentScores]) -> str:
    """costs: of the other and of `own`, if both are known."""
    if other is None:
        return ""
    if own.data != other.data:
        return "other data"
    # Rows of another length cut text elsewhere: then the two may have no document in common.
    if len(costs) == 2 and set(costs[0].documents) & set(costs[1].documents):
        found = paired(*costs)
        return f"{found.bits:+.3f}" + ("" if found.se_data is None else f" ± {found.se_data:.3f}")
    errors = (own.se_data, other.se_data)
    error = "" if None in errors else f" ± {math.hypot(*errors):.3f}"
    return f"{other.bits - own.bits:+.3f}{error}"


def _place(found: Sequence[Any]) -> list[tuple[str, Callable]]:
    stream = [("stream", lambda r: r.stream or "")] if shares_a_task(found) else []
    return [("split", lambda r: r.split), *stream, ("task", lambda r: r.task), ("of", lambda r: r.modality)]


_LIKELIHOOD: tuple[tuple[str, Callable[[Result], str]], ...] = (
    ("measure", lambda r: r.what + ("" if r.order is None else f", {r.order} x {len(r.seeds)}")),
    ("documents", lambda r: f"{r.documents:,}"),
    ("bits/token", bits),
    ("mixture", lambda r: number(r.mixture_bits)),
    ("perplexity", lambda r: number(r.perplexity, 1)),
    *((f"bits/{unit}", lambda r, unit=unit: number(getattr(r, f"bits_per_{unit}"))) for unit in UNITS),
    ("unigram", lambda r: number(r.unigram_bits)),
    ("condition is worth", lambda r: with_error(r.condition_worth_bits, r.condition_worth_se_data)),
)

_BESIDE = ("codec", "original", "chance")
_GENERATED: tuple[tuple[str, Callable[[Generated], str]], ...] = (
    ("figure", measured.figure),
    ("better", measured.sign),
    ("documents", lambda g: f"{g.documents:,}"),
    *((name, lambda g, n=n: measured.cells(g, _BESIDE)[n]) for n, name in enumerate(("model", *_BESIDE))),
)

_CHOICES: tuple[tuple[str, Callable[[Mapping], str]], ...] = (
    ("file", lambda line: line["name"]),
    ("scoring", lambda line: line["scoring"]["method"]),
    ("questions", lambda line: f"{line['questions']:,}"),
    ("right (%)", lambda line: with_error(line["accuracy"], line["se_data"], 100, 1)),
    ("by length (%)", lambda line: with_error(line["accuracy_by_length"], line["by_length_se_data"], 100, 1)),
    ("chance (%)", lambda line: number(line["chance"], 1, 100)),
)

_HARNESS: tuple[tuple[str, Callable[[Mapping], str]], ...] = (
    ("task", lambda line: line["task"]),
    ("metric", lambda line: line["metric"]),
    ("scoring", lambda line: line["scoring"]["method"]),
    ("documents", lambda line: f"{line['documents']:,}"),
    ("value", lambda line: with_error(line["value"], line["se_data"], digits=4)),
)


def _table(columns: Sequence[tuple[str, Callable]], found: Sequence[Any], text: int) -> Table:
    """Columns of numbers that are empty throughout are left out."""
    full = [(name, [cell(one) for one in found]) for name, cell in columns]
    shown = [(name, cells) for at, (name, cells) in enumerate(full) if at < text or any(cells)]
    return Table([name for name, _ in shown], text, [list(row) for row in zip(*(own for _, own in shown), strict=True)])
