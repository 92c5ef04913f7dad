"""Contenders measured in turn within one process, so that a noisy machine is noisy for all of them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np


def contest(
    benchmark: str, contenders: Mapping[str, Callable[[], Any]], rounds: int, facts: Mapping[str, Mapping[str, Any]]
) -> dict[str, np.ndarray]:
    """Runs each contender once to compile, then `rounds` times in turn, each round beginning with another one.

    Prints one JSON line a contender: median, fastest and slowest of its seconds, its `facts`, and how many times longer than
    the first contender it took (median over rounds, with quartiles). Returns all seconds, [rounds] by name.
    """
    names = tuple(contenders)
    for run in contenders.values():
        jax.block_until_ready(run())
    seconds = {name: np.zeros(rounds) for name in names}
    for number in range(rounds):
        for turn in range(len(names)):
            name = names[(number + turn) % len(names)]
            began = time.perf_counter()
            jax.block_until_ready(contenders[name]())
            seconds[name][number] = time.perf_counter() - began
    for name in names:
        own = seconds[name]
        lower, middle, upper = np.quantile(own / seconds[names[0]], (0.25, 0.5, 0.75))
        line = {
            "benchmark": benchmark,
            "contender": name,
            "median_seconds": _short(np.median(own)),
            "fastest": _short(own.min()),
            "slowest": _short(own.max()),
            f"times_{names[0]}": [_short(x) for x in (middle, lower, upper)],
        }
        print(json.dumps(line | (dict(facts[name]) if name in facts else {})), flush=True)
    return seconds


def _short(value: float) -> float:
    return float(f"{value:.4g}")
