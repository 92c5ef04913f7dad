"""AdamW for another batch size and token horizon than those it was tuned at: one number, kappa, from the SDE view of Adam.

    kappa = (D_base / D)^gamma (B / B_base)
    learning rate * sqrt(kappa)   beta^kappa (both)   epsilon / sqrt(kappa)   weight decay * sqrt(kappa)

B is the batch and D the horizon, both in unique tokens. Sources: Malladi et al. 2022 (arXiv 2205.10287) for Adam; Complete(d)P
(arXiv 2512.22382) for decoupled weight decay, and for gamma = 1, the constant horizon; arXiv 2602.21472 for kappa, gamma = 0.44
and beta^kappa. The decay is multiplied by the learning rate, as Optax has it, so their product scales by kappa.

The physical batch is then free, up to the critical one: every B traces the same path in tokens as the logical batch
B~ = B_base (D / D_base)^gamma at kappa = 1, as long as a run has at least S_crit steps, so B_crit = D / S_crit, and as long as
kappa (1 - beta) is far below 1. The rule says nothing about clipping, which sees another noise at another batch.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

from mdm.problems import Problem

GAMMA = 0.44
MOST_FORGOTTEN = 0.3  # share of a moment that a step may replace: the rule is an expansion in it


@dataclasses.dataclass(frozen=True)
class BatchScalingSettings:
    """Where the optimizer's settings were tuned; nothing is scaled while both are 0.

    base_batch:   unique tokens a step
    base_horizon: unique tokens of a whole run
    gamma:        how the logical batch grows with the horizon
    critical_steps: steps that a run needs at least (S_crit; 0: not known)
    """

    base_batch: int = 0
    base_horizon: int = 0
    gamma: float = GAMMA
    critical_steps: int = 0

    @property
    def on(self) -> bool:
        return bool(self.base_batch or self.base_horizon)

    def problems(self, at: str) -> list[Problem]:
        found = []
        for key in ("base_batch", "base_horizon"):
            value = getattr(self, key)
            if value < 0 or (self.on and value == 0):
                remedy = "give both in unique tokens, as the optimizer was tuned, or neither"
                found.append(Problem(f"{at}.{key}", value, "must be positive where the other one is set", remedy))
        if not 0 <= self.gamma <= 2:
            found.append(
                Problem(f"{at}.gamma", self.gamma, "outside [0, 2]", f"{GAMMA} (paper) or 1 (constant horizon)")
            )
        if self.critical_steps < 0:
            found.append(Problem(f"{at}.critical_steps", self.critical_steps, "negative", "0 if it is not known"))
        return found


@dataclasses.dataclass(frozen=True)
class BatchScale:
    """What the rule makes of a run of `horizon` tokens at `batch` tokens a step.

    logical_batch: the batch, in tokens, at which the tuned betas would hold; critical_batch: None where S_crit is not known
    """

    kappa: float
    batch: float
    horizon: float
    logical_batch: float
    critical_batch: float | None

    @property
    def logical_steps(self) -> float:
        return self.horizon / self.logical_batch

    @property
    def learning_rate(self) -> float:
        """Factor on the learning rate, and on the weight decay beside it; epsilon is divided by it."""
        return math.sqrt(self.kappa)

    def beta(self, base: float) -> float:
        return base**self.kappa

    def facts(self) -> list[tuple[str, str]]:
        """For a person, before a run."""
        told = [
            ("kappa", f"{self.kappa:.4g}: learning rate and decay x {self.learning_rate:.3g}, betas to its power"),
            ("logical batch", f"{self.logical_batch:,.0f} tokens, {self.logical_steps:,.0f} steps of it"),
        ]
        if self.critical_batch is not None:
            told.append(("critical batch", f"{self.critical_batch:,.0f} tokens; the run takes {self.batch:,.0f}"))
        return told

    def warnings(self, clip: float, beta: float) -> Iterator[str]:
        """What the rule does not promise for this run. clip: the global gradient norm, 0 for none; beta: the smaller of the two
        that the run was tuned with."""
        if self.critical_batch is not None and self.batch > self.critical_batch:
            yield (
                f"a batch of {self.batch:,.0f} tokens is beyond the critical batch of {self.critical_batch:,.0f}: "
                "fewer steps than the path needs, expect a higher loss"
            )
        if self.kappa != 1 and self.kappa * (1 - beta) > MOST_FORGOTTEN:
            yield (
                f"kappa (1 - beta) is {self.kappa * (1 - beta):.2g}: the rule holds where it is far below 1, for then a moment "
                "still averages over many steps; take a smaller batch, or tune at a larger one"
            )
        if self.kappa != 1 and clip:
            yield f"the rule does not cover clipping: optimizer.clip={clip} clips another share of steps than at the base batch"


def batch_scale(settings: BatchScalingSettings, batch: float, horizon: float) -> BatchScale:
    """batch, horizon: unique tokens of the run. Without a base, kappa is 1 and the logical batch is the batch."""
    critical = horizon / settings.critical_steps if settings.critical_steps else None
    if not settings.on:
        return BatchScale(1.0, batch, horizon, batch, critical)
    grown = (horizon / settings.base_horizon) ** settings.gamma
    return BatchScale(batch / settings.base_batch / grown, batch, horizon, settings.base_batch * grown, critical)
