"""How figures were made: a line of text under a table, with what is needed to read them again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mdm.evaluation.folder import Line
from mdm.evaluation.generated import Generated
from mdm.evaluation.measures.measure import INSTALL
from mdm.evaluation.result import Result


def likelihood(results: Sequence[Result]) -> str:
    """By the ELBO and by the chain rule."""
    noise = sorted({(r.samples, len(r.seeds)) for r in results if r.order is None})
    told = [f"data {d}" for d in sorted({r.data for r in results})]
    told += [f"{samples} mask counts x {seeds} seeds a document" for samples, seeds in noise]
    told += ["± is one standard error over documents (bootstrap over concepts)"]
    return _note([vars(r) for r in results], told)


def generated(made: Sequence[Generated], absent: Sequence[str] = ()) -> str:
    """absent: measures that lacked a package."""
    seeds = sorted({g.seeds for g in made})
    told = [f"seeds {' and '.join(f'{first} to {last}' for first, last in seeds)}", *_samplers(made)]
    told += (
        [f"not measured, for want of packages: {', '.join(absent)} ({INSTALL}, and evaluate again)"] if absent else []
    )
    return _note([vars(g) for g in made], [*told, "± is one standard error over documents"])


def choices(lines: Sequence[Line]) -> str:
    return _note(lines, [*_scorings(lines), "± is one standard error over questions"])


def harness(lines: Sequence[Line]) -> str:
    samplers = {_settings(line["sampler"]) for line in lines if line.get("sampler")}
    told = [f"answers written with {sampler}" for sampler in sorted(samplers)]
    return _note(lines, [*_scorings(lines), *told, "± is one standard error, as its task tells it"])


def _note(lines: Sequence[Mapping[str, Any]], told: Iterable[str]) -> str:
    """With step, weights and settings before what is told: a line that was not written to a folder lacks them."""
    found = []
    for key in ("step", "weights", "config"):
        values = sorted({line[key] for line in lines if key in line and line[key] is not None})
        found += [f"{key} {', '.join(map(str, values))}"] if values else []
    note = "; ".join([*found, *told])
    return f"{note[0].upper()}{note[1:]}."


def _scorings(lines: Sequence[Line]) -> list[str]:
    return [f"texts scored with {own}" for own in sorted({_settings(line["scoring"]) for line in lines})]


def _samplers(made: Sequence[Generated]) -> list[str]:
    """What all have in common, and then what the tasks have beyond it."""
    first = made[0].sampler
    common = {name: own for name, own in first.items() if all(_has(g.sampler, name, own) for g in made)}
    tasks: dict[str, dict[str, None]] = {}
    for g in made:
        rest = _settings({name: value for name, value in g.sampler.items() if name not in common})
        tasks.setdefault(rest, {})[g.task] = None
    found = [f"all sampled with {_settings(common)}"] if common else []
    return found + [f"{', '.join(own)} with {rest}" for rest, own in tasks.items() if rest]


def _has(sampler: Mapping[str, Any], name: str, value: Any) -> bool:
    return name in sampler and sampler[name] == value


def _settings(own: Mapping[str, Any]) -> str:
    """As names and values; not the rows of a batch, which decide nothing."""
    plain = ((name, value if isinstance(value, str) else json.dumps(value)) for name, value in own.items())
    return ", ".join(f"{name} {value}" for name, value in plain if name != "batch_rows")
