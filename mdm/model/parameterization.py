"""Complete(d)P: one table from a tensor's role to its initialisation, learning rate, epsilon and weight decay.

Source: Complete(d)P, arXiv 2512.22382, Table 1 (the batch and horizon factors live in training/batch_scaling). With
m_N = width / base width, m_L = depth / base depth and alpha in [1/2, 1]:

    role          init variance   learning rate          epsilon               weight decay
    embedding     1               1                      1/m_N                 1
    hidden        1/m_N           m_L^(alpha-1) / m_N    m_L^-alpha / m_N      m_N
    norm          -               m_L^(alpha-1)          m_L^-alpha / m_N      1
    qk_norm       -               m_L^(alpha-1)          m_L^-alpha            1
    final_norm    -               1                      1                     1
    unembedding   1/m_N^2         1/m_N                  1                     m_N

and the residual branches are multiplied by m_L^-alpha. At the base shape every factor is 1.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from mdm.problems import Problem

ROLES = ("embedding", "hidden", "norm", "qk_norm", "final_norm", "unembedding")


@dataclasses.dataclass(frozen=True)
class Scales:
    """Factors on the base hyperparameters of one tensor. init is a factor on the standard deviation."""

    init: float
    learning_rate: float
    epsilon: float
    weight_decay: float


@dataclasses.dataclass(frozen=True)
class ParameterizationSettings:
    """The shape at which hyperparameters were tuned, and per-role multipliers on the learning rate."""

    base_width: int = 128
    base_depth: int = 4
    alpha: float = 1.0
    learning_rates: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def problems(self, at: str) -> list[Problem]:
        found = []
        for key in ("base_width", "base_depth"):
            if getattr(self, key) < 1:
                found.append(Problem(f"{at}.{key}", getattr(self, key), "must be positive", "give the tuned shape"))
        if not 0.5 <= self.alpha <= 1:
            found.append(Problem(f"{at}.alpha", self.alpha, "outside [1/2, 1]", "1 is CompleteP"))
        for role, factor in self.learning_rates.items():
            if role not in ROLES:
                found.append(Problem(f"{at}.learning_rates", role, "is not a role", f"use one of {ROLES}"))
            if not factor >= 0:
                found.append(Problem(f"{at}.learning_rates.{role}", factor, "must not be negative", "1 is neutral"))
        return found


def residual_multiplier(settings: ParameterizationSettings, depth: int) -> float:
    """Factor on every residual branch: m_L^-alpha."""
    return (depth / settings.base_depth) ** -settings.alpha


def scales(settings: ParameterizationSettings, role: str, width: int, depth: int) -> Scales:
    """The factors of a tensor of `role` in a network of this width and depth."""
    wide = width / settings.base_width
    deep = depth / settings.base_depth
    in_depth = deep ** (settings.alpha - 1)
    eps_in_depth = deep**-settings.alpha
    table = {
        "embedding": Scales(1, 1, 1 / wide, 1),
        "hidden": Scales(wide**-0.5, in_depth / wide, eps_in_depth / wide, wide),
        "norm": Scales(1, in_depth, eps_in_depth / wide, 1),
        "qk_norm": Scales(1, in_depth, eps_in_depth, 1),
        "final_norm": Scales(1, 1, 1, 1),
        "unembedding": Scales(1 / wide, 1 / wide, 1, wide),
    }
    factor = settings.learning_rates[role] if role in settings.learning_rates else 1.0
    return dataclasses.replace(table[role], learning_rate=table[role].learning_rate * factor)
