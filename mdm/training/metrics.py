"""From the sums of a window to the named figures of one line of the log. Bits are per maskable token."""

from __future__ import annotations

import math

import numpy as np

from mdm.diffusion.objective import RATIO_BINS
from mdm.model import flops
from mdm.model.transformer import ModelSettings
from mdm.tokens.tasks import TASK_NAMES
from mdm.tokens.vocabulary import MODALITIES, Vocabulary
from mdm.training.step import Window


def figures(window: Window, streams: tuple[str, ...]) -> dict[str, float]:
    """Names as `what/of what`. `window` holds NumPy arrays; cells that saw nothing are left out.

    elbo_bits/MODALITY counts tasks whose condition was there; a dropped condition is reported as elbo_bits_unguided.
    """
    steps = max(float(window.steps), 1.0)
    found = {"loss": float(window.loss) / steps, "updates_skipped": float(window.skipped)}
    sums = window.sums
    for m, modality in enumerate(MODALITIES):
        _ratio(found, f"elbo_bits/{modality}", sums.elbo[:, 0, m].sum(), sums.maskable[:, 0, m].sum())
        for t, task in enumerate(TASK_NAMES):
            _ratio(found, f"elbo_bits/{task}/{modality}", sums.elbo[t, 0, m], sums.maskable[t, 0, m])
            _ratio(found, f"elbo_bits_unguided/{task}/{modality}", sums.elbo[t, 1, m], sums.maskable[t, 1, m])
        for b in range(RATIO_BINS):
            _ratio(
                found,
                f"bits_by_ratio/{modality}/{b / RATIO_BINS:.1f}",
                sums.bin_nats[:, m, b].sum(),
                sums.bin_masked[:, m, b].sum(),
            )
    for name, norm in window.norms.items():
        found[f"gradient_norm/{name}"] = float(norm) / steps
    rows, maskable = float(window.rows.sum()), float(sums.maskable.sum())
    for stream, count in zip(streams, window.rows, strict=True):
        _share(found, f"share_of_rows/{stream}", count, rows)
    for m, modality in enumerate(MODALITIES):
        _share(found, f"share_of_targets/{modality}", sums.maskable[:, :, m].sum(), maskable)
        _share(found, f"share_of_masked/{modality}", sums.masked[:, :, m].sum(), float(sums.masked.sum()))
    found["tokens_in_window"] = float(window.tokens)
    return found


def model_flops(window: Window, model: ModelSettings, row_length: int, vocabulary: Vocabulary) -> float:
    """FLOPs that the model needed for the rows of `window` (see `model.flops`), forward and backward.

    The head counts the positions that were masked; those of a modality with several codebooks are shared out evenly.
    """
    masked: dict[int, float] = {}
    for m, modality in enumerate(MODALITIES):
        numbers = vocabulary.ranges_of(modality)
        for number in numbers:
            columns = vocabulary.ranges[number].size
            own = float(window.sums.masked[:, :, m].sum()) / len(numbers)
            masked[columns] = masked.get(columns, 0.0) + own
    rows = float(window.rows.sum())
    return flops.TRAINING * (rows * flops.body(model, row_length) + flops.head(model, masked))


def _ratio(found: dict[str, float], name: str, nats: np.ndarray, count: np.ndarray) -> None:
    if count > 0:
        found[name] = float(nats) / float(count) / math.log(2)


def _share(found: dict[str, float], name: str, part: np.ndarray, whole: float) -> None:
    if whole > 0:
        found[name] = float(part) / whole
