"""A chart as data: what is drawn, without how."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Series:
    """Points of one label. error: how far bars reach below and above each; line: joined; fit: a fitted curve, in the colour of
    the points of its label; diverged: x of runs that have no y; hollow: points that are drawn empty, to set them apart."""

    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    error: tuple[tuple[float, float], ...] = ()
    line: bool = False
    fit: bool = False
    diverged: tuple[float, ...] = ()
    hollow: bool = False


@dataclasses.dataclass(frozen=True)
class Chart:
    """names: of the places 0, 1, ... on an x axis that has no numbers; zero: a line across, where nothing differs; by: what the
    labels of the series are of"""

    x: str
    y: str
    series: tuple[Series, ...]
    log_x: bool = False
    log_y: bool = False
    names: tuple[str, ...] = ()
    zero: float | None = None
    by: str = ""
