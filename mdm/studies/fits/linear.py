"""Least squares with draws of the coefficients: the common ground of fits that are linear in theirs.

A study has few points: three seeds at five learning rates are many. Resampling so few residuals gives intervals that are too
narrow, because the residuals of a fit are smaller than the errors and their size is itself a guess. The bootstrap here is
parametric, and also draws the variance: residual sum of squares / chi-square of (n - p), then coefficients from their normal
distribution. Its percentiles are those of Student's t (exact for normal errors), at any n > p.

Letters: N points, P coefficients.
"""

from __future__ import annotations

import numpy as np


def fit(design: np.ndarray, y: np.ndarray, draws: int, seed: int) -> tuple[np.ndarray, np.ndarray | None]:
    """design [N, P], y [N] -> best coefficients [P], and draws of them [draws, P], None if no point is left over for the error.

    The columns of `design` must be independent.
    """
    n, p = design.shape
    best, *_ = np.linalg.lstsq(design, y)
    if n <= p:
        return best, None
    generator = np.random.default_rng(seed)
    residual = float(np.square(y - design @ best).sum())
    sigma = np.sqrt(residual / generator.chisquare(n - p, draws))
    # (X'X)^-1 = R^-1 R^-T for X = QR
    root = np.linalg.inv(np.linalg.qr(design, mode="r"))
    return best, best + sigma[:, None] * (generator.standard_normal((draws, p)) @ root.T)
