"""Charts as SVG, in the style of the run report. Needs the extra `report`."""

from __future__ import annotations

import math

import matplotlib
from matplotlib import pyplot, ticker

from mdm.evaluation.plots import STYLE, svg
from mdm.studies.chart import Chart

_TICKS = 8
_LONG = 28  # letters of a label of that size that fit beside the panel
_LEGEND = 60  # letters of a line of the legend
_COLOURS = ("#2f6db3", "#c2571a", "#2c8a57", "#8a4fa3", "#a3862c", "#4aa3a3", "#b33c62", "#5b5b5b")


def draw(chart: Chart) -> str:
    """The chart, small enough for a phone. Crosses on the upper edge are runs that diverged."""
    with matplotlib.rc_context(STYLE):
        figure, panel = pyplot.subplots(figsize=(4.6, 3.4))
        labels = list(dict.fromkeys(series.label for series in chart.series))
        if chart.log_x:
            panel.set_xscale("log")
        if chart.log_y:
            panel.set_yscale("log")
        if chart.zero is not None:
            panel.axhline(chart.zero, color="#999999", linewidth=0.8)
        if chart.names:
            many = len(chart.names) > _TICKS
            turned = {"rotation": 90, "fontsize": 6} if many else {"rotation": 25, "ha": "right"}
            panel.set_xticks(range(len(chart.names)), chart.names, **turned)
        for series in chart.series:
            colour = _COLOURS[labels.index(series.label) % len(_COLOURS)]
            if series.fit:
                panel.plot(series.x, series.y, color=colour, linewidth=1, linestyle="--")
                continue
            bars = tuple(zip(*series.error, strict=True)) or None
            panel.errorbar(series.x, series.y, bars, color=colour, marker="o", markersize=4, capsize=2,
                           markerfacecolor="none" if series.hollow else None, linewidth=1.3 if series.line else 0,
                           elinewidth=1, label="" if series.hollow else series.label)  # fmt: skip
            panel.plot(series.diverged, [1.0] * len(series.diverged), "x", color=colour, clip_on=False,
                       transform=panel.get_xaxis_transform())  # fmt: skip
        tried = sorted({x for series in chart.series if not series.fit for x in series.x})
        if chart.log_x and 0 < len(tried) <= _TICKS:  # the settings that were tried say more than powers of ten
            panel.set_xticks(tried, [f"{x:.3g}" for x in tried], rotation=25, ha="right")
            panel.xaxis.set_minor_locator(ticker.NullLocator())
        low, high = panel.get_ylim()
        if chart.log_y and high < 10 * low:  # a decade would have one label, or none
            panel.yaxis.set_major_locator(ticker.MaxNLocator(5))
            panel.yaxis.set_major_formatter(ticker.ScalarFormatter())
            panel.yaxis.set_minor_locator(ticker.NullLocator())
        panel.set(xlabel=chart.x, ylabel=chart.y)
        panel.yaxis.label.set_fontsize(min(11, 11 * _LONG / max(map(len, chart.y.splitlines()))))
        if len(labels) > 1:  # above the panel, where it covers no point
            columns = max(1, min(len(labels), _LEGEND // (max(map(len, labels)) + 4)))
            panel.legend(loc="lower left", bbox_to_anchor=(-0.12, 1.03), ncols=columns, fontsize=8, title=chart.by or None,
                         title_fontsize=8, alignment="left", frameon=False, borderaxespad=0)  # fmt: skip
            figure.set_figheight(3.3 + 0.18 * math.ceil(len(labels) / columns))
        return svg(figure)
