"""The figures of a trial: names that are known before it is run, and values once it was.

heldout_bits                 negative ELBO of the held-out split in bits a token, over all tasks, weighted by tokens
heldout_bits/MODALITY        of one modality, over the tasks whose target it is
heldout_bits/TASK/MODALITY   of one task
train_bits/MODALITY          of the training rows, mean over the last tenth of the log
train_loss                   what was optimised, likewise
updates_skipped              updates that were not finite
passes                       over the stream that was repeated most: above 1, data were repeated
tokens, parameters           D in unique positions, and N (all of the network, embeddings included)
body_parameters              N without embeddings and output head
compute                      6 N D in FLOPs, of all parameters
gradient_noise/ESTIMATOR     with the probe "gradient-noise": trace of the gradient's covariance over that of the plain estimator
                             in the same trial, for each estimator of `mdm.training.noise`; gradient_noise_error/ESTIMATOR is
                             the standard error of the numerator, in the same unit
masking_noise/ESTIMATOR      likewise, of the same rows hidden in other ways
tokens_per_second            median over the log
train_seconds, eval_seconds  measured

A figure that is not finite, or that a run which diverged does not have, is None.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from mdm.data.streams import StreamSettings
from mdm.evaluation.result import Result
from mdm.tokens.tasks import TASKS
from mdm.training.noise import ESTIMATORS, PLAIN, Scatter

TIMES = ("tokens_per_second", "train_seconds", "eval_seconds")
"""Figures of the machine: they differ from one run of a trial to the next."""

NOISE = tuple(
    f"{kind}/{name}"
    for kind in ("gradient_noise", "gradient_noise_error", "masking_noise", "masking_noise_error")
    for name in ESTIMATORS
)
PROBES = {"gradient-noise": NOISE}
"""Probe -> its figures."""

_COUNTS = ("tokens", "parameters", "body_parameters", "compute")
Metrics = dict[str, float | None]


def names(streams: Mapping[str, StreamSettings], probes: Sequence[str] = ()) -> set[str]:
    """Figures of a trial with these streams and probes."""
    tasks = {task for stream in streams.values() for task in stream.drawn}
    pairs = {(task, modality) for task in tasks if task in TASKS for modality in TASKS[task].targets}
    modalities = {modality for _, modality in pairs}
    return {
        "heldout_bits", "train_loss", "updates_skipped", "passes", *_COUNTS, *TIMES,
        *(f"heldout_bits/{task}/{modality}" for task, modality in pairs),
        *(f"heldout_bits/{modality}" for modality in modalities),
        *(f"train_bits/{modality}" for modality in modalities),
        *(name for probe in probes for name in PROBES[probe]),
    }  # fmt: skip


def figures(
    known: set[str],
    results: Sequence[Result],
    lines: Sequence[Mapping],
    counts: Mapping[str, float],
    probed: Mapping[str, float] | None = None,
) -> Metrics:
    """All figures of `known`. results: of the held-out split, empty if the run diverged; lines: of its log; counts: `_COUNTS`
    without `compute`; probed: by the probes."""
    found: dict[str, float] = {**counts, **(probed or {})}
    found["compute"] = 6.0 * counts["parameters"] * counts["tokens"]
    if results:
        found["heldout_bits"] = _bits(results)
        found["eval_seconds"] = sum({(r.split, r.stream, r.task): r.seconds for r in results}.values())
    for result in results:
        found[f"heldout_bits/{result.task}/{result.modality}"] = result.bits
        found[f"heldout_bits/{result.modality}"] = _bits([r for r in results if r.modality == result.modality])
    if lines:
        found["tokens_per_second"] = float(np.median([line["tokens_per_second"] for line in lines]))
        found["train_seconds"] = sum(line["seconds"] for line in lines)
        found["updates_skipped"] = sum(line["updates_skipped"] for line in lines)
        found["train_loss"] = _end(lines, "loss")
        found["passes"] = max((v for key, v in lines[-1].items() if key.startswith("passes/")), default=math.nan)
        for key in {key for line in lines for key in line if key.startswith("elbo_bits/") and key.count("/") == 1}:
            found[f"train_bits/{key.removeprefix('elbo_bits/')}"] = _end(lines, key)
    return {name: _finite(found[name]) if name in found else None for name in sorted(known)}


def of_noise(found: Mapping[str, Scatter]) -> dict[str, float]:
    """Figures of `NOISE`, in units of the plain estimator's noise.

    The squared mean gradient would be the natural unit, but it is a small part of the noise near the end of a run: so few pairs
    may well estimate it as negative.
    """
    units = {"gradient_noise": found[PLAIN].total.mean(), "masking_noise": found[PLAIN].masking.mean()}
    figures = {}
    for name, own in found.items():
        for kind, values in (("gradient_noise", own.total), ("masking_noise", own.masking)):
            figures[f"{kind}/{name}"] = float(values.mean() / units[kind])
            figures[f"{kind}_error/{name}"] = float(values.std(ddof=1) / math.sqrt(len(values)) / units[kind])
    return figures


def _bits(results: Sequence[Result]) -> float:
    return float(np.average([r.bits for r in results], weights=[r.targets for r in results]))


def _end(lines: Sequence[Mapping], key: str) -> float:
    """Mean of the last tenth of the lines that have the figure: one line is a window of a few batches."""
    values = [line[key] for line in lines if key in line]
    return float(np.mean(values[-max(1, len(values) // 10) :]))


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
