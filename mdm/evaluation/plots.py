"""Plots of a run, as SVG to stand inside a page. Needs the extra `report`."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np

matplotlib.use("svg")  # no display, and none of the caller's settings
from matplotlib import pyplot, ticker

from mdm.evaluation.result import Result
from mdm.evaluation.tables import shares_a_task
from mdm.tokens.vocabulary import MODALITIES

COLOURS = dict(zip(MODALITIES, ("#2f6db3", "#c2571a", "#2c8a57"), strict=True))
OTHERS = ("#7a5195", "#b8860b", "#008b8b", "#a0525f", "#556b2f", "#4d4d4d")
"""Of what is of no modality, or of one that has its colour already."""
STYLE = {
    "svg.fonttype": "none",  # words stay words: they can be read aloud and found
    "svg.hashsalt": "mdm",  # the same run gives the same file
    "font.family": "sans-serif",
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "figure.constrained_layout.use": True,
}


def learning_curve(modality: str, lines: Sequence[Mapping], unigram: float | None) -> str:
    """ELBO of a modality in bits a token against tokens trained on; dashed: `unigram`. lines: of the metrics log."""
    key = f"elbo_bits/{modality}"
    points = [(line["tokens"] / 1e6, line[key]) for line in lines if key in line]
    with matplotlib.rc_context(STYLE):
        figure, panel = pyplot.subplots(figsize=(3.6, 2.9))
        panel.plot(*zip(*points, strict=True), color=COLOURS[modality], linewidth=1.4)
        if unigram is not None:
            panel.axhline(unigram, color="grey", linestyle="--", linewidth=1)
            panel.annotate("unigram", (1, unigram), xycoords=("axes fraction", "data"), ha="right", va="bottom",
                           color="grey", fontsize=9)  # fmt: skip
        panel.set(title=modality, xlabel="million tokens", ylabel="bits a token")
        # Neither the first steps, which are far above it, nor a model far below it may push the dashed line out of sight.
        panel.set_ylim(top=max(1.02 * max(bits for _, bits in points[len(points) // 20 :]), 1.05 * (unigram or 0)))
        return svg(figure)


def over_steps(modality: str, history: Mapping[int, Sequence[Result]]) -> str:
    """Bits a token of each task of a modality against the step, with one standard error. history: step -> results."""
    points: dict[str, list[tuple[int, Result]]] = {}
    for step in sorted(history):
        for result in history[step]:
            if result.modality == modality:
                points.setdefault(f"{result.task} ({result.stream}, {result.split})", []).append((step, result))
    with matplotlib.rc_context(STYLE):
        figure, panel = pyplot.subplots(figsize=(5.2, 3.2))
        for number, (name, own) in enumerate(points.items()):
            panel.errorbar(
                [step for step, _ in own], [r.bits for _, r in own], yerr=[r.se_data or r.se_noise or 0 for _, r in own],
                label=name, color=(COLOURS[modality], *OTHERS)[number % (1 + len(OTHERS))], linewidth=1.4, marker="o",
                markersize=3, capsize=2,
            )  # fmt: skip
        panel.set(title=modality, xlabel="step", ylabel="bits a token")
        panel.xaxis.set_major_locator(ticker.MaxNLocator(integer=True, nbins=6))
        panel.legend(fontsize=8)
        return svg(figure)


def against_unigram(results: Sequence[Result]) -> str:
    """How far below the unigram entropy each task comes, in per cent, with two standard errors. Streams are named where several
    share a task."""
    named = shares_a_task(results)
    with matplotlib.rc_context(STYLE):
        figure, panel = pyplot.subplots(figsize=(5.6, 0.42 * len(results) + 1.0))
        for place, result in enumerate(results):
            gain = 100 * (1 - result.bits / result.unigram_bits)
            error = 200 * max(result.se_data or 0, result.se_noise or 0) / result.unigram_bits
            panel.barh(place, gain, xerr=error, color=COLOURS[result.modality], height=0.62, error_kw={"linewidth": 1})
        panel.set_yticks(
            range(len(results)),
            [f"{r.task} ({r.stream}): {r.modality}" if named else f"{r.task}: {r.modality}" for r in results],
        )
        panel.invert_yaxis()
        panel.axvline(0, color="black", linewidth=0.8)
        panel.set_xlabel("% below the unigram entropy (bar: two standard errors)", loc="right")
        return svg(figure)


def mixture(lines: Sequence[Mapping], kind: str) -> str:
    """Shares over the run as stacked areas. kind: "rows" (of each stream) or "targets" (tokens of each modality)."""
    prefix = f"share_of_{kind}/"
    names = sorted({key.removeprefix(prefix) for line in lines for key in line if key.startswith(prefix)})
    with matplotlib.rc_context(STYLE):
        figure, panel = pyplot.subplots(figsize=(4.6, 2.6))
        shares = [[line[prefix + name] if prefix + name in line else 0.0 for line in lines] for name in names]
        panel.stackplot([line["tokens"] / 1e6 for line in lines], shares, labels=names, alpha=0.85,
                        colors=_colours(names))  # fmt: skip
        panel.set(xlabel="million tokens", ylabel=f"share of {kind}", ylim=(0, 1))
        panel.legend(loc="lower left", fontsize=9)
        return svg(figure)


def lengths(stream: str, by_modality: Mapping[str, np.ndarray]) -> str:
    """Histogram of document lengths in content positions, on a logarithmic axis. by_modality: int [documents]."""
    with matplotlib.rc_context(STYLE):
        figure, panel = pyplot.subplots(figsize=(3.6, 2.6))
        most = max([int(own.max()) for own in by_modality.values() if own.size] or [1])
        edges = np.unique(np.geomspace(1, most + 1, 41).round())
        for modality, own in by_modality.items():
            panel.hist(own, bins=edges, color=COLOURS[modality], alpha=0.7, label=modality)
        panel.set(title=stream, xlabel="content positions", ylabel="documents", xscale="log")
        panel.legend(fontsize=9)
        return svg(figure)


def frequencies(counts: Mapping[str, np.ndarray]) -> str:
    """Share of each code, from the most frequent on. counts: int [codes] by range."""
    with matplotlib.rc_context(STYLE):
        figure, panel = pyplot.subplots(figsize=(5.6, 3.2))
        for name, own in counts.items():
            seen = np.sort(own[own > 0])[::-1]
            if seen.size:
                modality, _, book = name.partition(".")
                style = "-" if book in ("", "0") else (0, (1 + 2 * int(book), 1))
                panel.plot(
                    1 + np.arange(len(seen)), seen / seen.sum(), color=COLOURS[modality], linestyle=style, label=name
                )
        panel.set(xscale="log", yscale="log", xlabel="rank", ylabel="share")
        panel.legend(fontsize=9)
        return svg(figure)


def _colours(names: Sequence[str]) -> list[str]:
    """A colour each: that of the modality that a stream is called after, or one of its own."""
    found: list[str] = []
    for name in names:
        modality = name.split("-")[0]
        own = [COLOURS[modality]] if modality in COLOURS else []
        free = [colour for colour in (*own, *OTHERS) if colour not in found]
        found.append(free[0] if free else OTHERS[len(found) % len(OTHERS)])
    return found


def svg(figure) -> str:
    """The figure as an SVG element, and closed."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    pyplot.close(figure)
    text = buffer.getvalue()
    return text[text.index("<svg") :]
