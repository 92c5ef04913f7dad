"""Grids: which share of the positions is still masked after each step, and the exact counts that follow from it.

Every noise schedule is a grid too: steps then stand at the quantiles of its density of mask ratios, so that each costs the
network as much of what it was trained on as any other. "linear" is the uniform grid, "cosine" the cosine one.

A loop (ReMDM-loop, arXiv 2503.00307, section 4.2) stands still in a part of the steps, while what was written is masked again
(`remasking`): loop-<on>-<off>-<written>. With time falling evenly from 1 to 0, the masked share falls evenly from 1 to
1 - written at time on, stays there until time off, and falls evenly to 0. "loop" is the paper's, loop-0.55-0.05-0.9.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from mdm.diffusion import schedules
from mdm.problems import Problem, Refusal

GRIDS: dict[str, Callable[[float], float]] = {
    "uniform": lambda done: 1 - done,
    "cosine": lambda done: math.cos(0.5 * math.pi * done),  # few at first (MaskGIT; as a time grid, MD4)
}
"""Share of steps done, in [0, 1] -> share of positions still masked, from 1 down to 0."""

LOOP = "loop"
_PAPER = (0.55, 0.05, 0.9)  # t_on, t_off and alpha(t_on)
TRAINED = "trained"  # stands for the schedule that the task was trained with
_SMALLEST = 1e-3  # where a schedule is cut; only the last steps of a grid of hundreds see it


def ratios(grid: str, steps: int, where: str = "grid") -> np.ndarray:
    """float64 [steps + 1], never rising from 1 to exactly 0: the masked share before step i and, at i + 1, after it.

    grid: one of `GRIDS`, a loop, or the name of a noise schedule. Raises Refusal for anything else.
    """
    if is_loop(grid):
        shares = _loop(grid, steps, where)
    elif grid in GRIDS:
        shares = np.array([GRIDS[grid](step / steps) for step in range(steps + 1)])
    else:
        with jax.ensure_compile_time_eval():
            shares = np.asarray(schedules.parse(grid, _SMALLEST, where).ratio(np.linspace(1, 0, steps + 1)), np.float64)
    shares[0], shares[-1] = 1.0, 0.0  # a cosine ends at 6e-17, a schedule where it is cut
    return shares


def is_loop(grid: str) -> bool:
    return grid.split("-")[0] == LOOP


def _loop(grid: str, steps: int, where: str) -> np.ndarray:
    try:
        on, off, written = map(float, grid.split("-")[1:]) if grid != LOOP else _PAPER
        if not (0 < off < on < 1 and 0 < written < 1):
            raise ValueError
    except ValueError:
        remedy = "use loop, or loop-<on>-<off>-<written> with 0 < off < on < 1 and 0 < written < 1"
        raise Refusal(Problem(where, grid, "is no loop", remedy)) from None
    time = np.arange(steps, -1, -1) / steps
    return np.interp(time, [0, off, on, 1], [0, 1 - written, 1 - written, 1])


def remaining(masked: jax.Array, keep: jax.Array) -> jax.Array:
    """How many of `masked` int32 [B] positions stay masked through a step that keeps the share `keep` [B] of them: int32 [B].

    Each step starts from what is masked now, not from a plan made at the start, since an END may have closed half a
    span. A step uncovers at least one position, so no network call is wasted; where written positions are masked again, the grid
    would so be left behind, and a step may uncover none (`steps.open_some`). On the uniform grid this is the usual quota, with
    the remainder over the first steps (LLaDA).
    """
    whole = jnp.floor(masked * keep + 1e-3).astype(jnp.int32)  # 1e-3: float32 must not turn 63 into 62.99999
    return jnp.maximum(jnp.minimum(whole, masked - 1), 0)
