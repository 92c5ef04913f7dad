"""Where the wall time of a run went, over all its starts: a pure function of what they wrote down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mdm.columns import columns
from mdm.runs.starts import Start

STEP = "step"
REDONE = "redone"  # in steps that a later start had to make again, since no checkpoint was behind them
DOWN = "downtime"  # between the last sign of life of a start and the begin of the next; what a killed start did not write down
OTHER = "other"  # of a start: opening the data, waiting for the last save, ending


def account(starts: Sequence[Start]) -> dict[str, float]:
    """Seconds by what they went into, which add up to those from the first begin to the last sign of life. starts: oldest
    first; `STEP` is what brought the run on. Where a clock went backward no time has passed."""
    found = {STEP: 0.0, REDONE: 0.0, DOWN: 0.0, OTHER: 0.0}
    kept = None  # the fewest steps that a later start began with
    for number in reversed(range(len(starts))):
        start = starts[number]
        spent = dict(start.seconds)
        step = spent.pop(STEP, 0.0)
        good = step * _share_kept(start, kept)
        found[STEP] += good
        found[REDONE] += step - good
        for what, seconds in spent.items():
            found[what] = found.get(what, 0.0) + seconds
        found[OTHER] += max(start.alive - start.began - step - sum(spent.values()), 0.0)
        if number:
            found[DOWN] += max(start.began - starts[number - 1].alive, 0.0)
        if start.restored is not None:
            kept = start.restored if kept is None else min(kept, start.restored)
    return found


def report(starts: Sequence[Start]) -> str:
    """The account of a run for a person, and by how much clocks went backward within a start or from one to the next."""
    times = [time for start in starts for time in (start.began, start.alive)]
    back = sum(max(before - after, 0.0) for before, after in zip(times, times[1:], strict=False))
    told = f"\nclocks went backward, by {back:,.1f} s in all: that time is counted as none" if back else ""
    return table(account(starts)) + told


def figures(starts: Sequence[Start]) -> dict[str, float]:
    """goodput/WHAT: share of the run's wall time so far; `goodput/step` is the goodput."""
    found = account(starts)
    whole = sum(found.values())
    return {f"goodput/{what}": seconds / whole if whole else 0.0 for what, seconds in found.items()}


def table(found: Mapping[str, float]) -> str:
    """What `account` gives, for a person: the largest part first."""
    whole = sum(found.values()) or 1.0
    parts = sorted(found.items(), key=lambda item: -item[1])
    return columns([(what, f"{seconds:,.1f} s", f"{seconds / whole:.1%}") for what, seconds in parts])


def _share_kept(start: Start, kept: int | None) -> float:
    """Of the steps of a start, those that no later start made again."""
    made = start.reached - (start.restored or 0)
    if kept is None or made <= 0:
        return 1.0
    return min(max(kept - (start.restored or 0), 0) / made, 1.0)
