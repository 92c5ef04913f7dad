"""What a compiled program spends its time on, from a profile of a few runs."""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

RUNS = 3
_PRODUCT = re.compile(r" (?:dot|convolution)\(")


def of(run: Callable[[], Any], program: str) -> dict[str, float]:
    """Share of the threads' busy time by kind of operation, largest first. program: the optimised HLO as text."""
    kinds = _kinds(program)
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            for _ in range(RUNS):
                jax.block_until_ready(run())
        (file,) = Path(folder).rglob("*.xplane.pb")
        busy = Counter()
        for plane in jax.profiler.ProfileData.from_file(str(file)).planes:
            for line in plane.lines:
                for event in line.events:
                    if event.name in kinds and any(name == "hlo_op" for name, _ in event.stats):
                        busy[kinds[event.name]] += event.duration_ns
    total = sum(busy.values())
    return {kind: round(value / total, 3) for kind, value in busy.most_common()}


def _kinds(program: str) -> dict[str, str]:
    """Name of each operation -> what it is."""
    bodies: dict[str, list[str]] = {}
    own: list[str] = []
    for line in program.splitlines():
        if found := re.match(r"(?:ENTRY )?%?([\w.\-]+) .*\{$", line):
            own = bodies[found[1]] = []
        else:
            own.append(line)
    kinds = {}
    for line in (line for body in bodies.values() for line in body):
        if found := re.match(r"\s+(?:ROOT )?%?([\w.\-]+) = \S+?\[([\d,]*)\]\S* ([\w\-]+)\(", line):
            name, dims, operation = found.groups()
            called = re.search(r"calls=%?([\w.\-]+)", line)
            inside = bodies[called[1]] if called else [line]
            kinds[name] = _kind(operation, len(dims.split(",")), "\n".join(inside))
    return kinds


def _kind(operation: str, dims: int, inside: str) -> str:
    if operation in ("while", "call", "conditional"):
        return "loops (their contents are counted too)"
    if _PRODUCT.search(inside):
        return "attention products" if dims > 2 else "products with weights"
    if "exponential(" in inside or "reduce(" in inside:
        return "softmax, norms, reductions"
    return "copies and transpositions" if "copy" in inside or "transpose(" in inside else "other elementwise"
