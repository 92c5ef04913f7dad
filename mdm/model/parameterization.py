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

Multipliers by module and by depth come on top, see `multipliers`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence

import numpy as np

from mdm.model.multipliers import GAINS, Multipliers
from mdm.problems import Problem

ROLES = ("embedding", "hidden", "norm", "qk_norm", "final_norm", "unembedding")


@dataclasses.dataclass(frozen=True)
class Scales:
    """Factors on the base hyperparameters of one tensor, each a float or an array to be broadcast with the tensor. init is a
    factor on the standard deviation."""

    init: float | np.ndarray
    learning_rate: float | np.ndarray
    epsilon: float | np.ndarray
    weight_decay: float | np.ndarray


@dataclasses.dataclass(frozen=True)
class ParameterizationSettings:
    """The shape at which hyperparameters were tuned; 0 stands for the network's own, so that nothing is transferred.

    inits, learning_rates, epsilons, weight_decays: multipliers on what the table gives
    """

    base_width: int = 128
    base_depth: int = 4
    alpha: float = 1.0
    inits: Multipliers = Multipliers()
    learning_rates: Multipliers = Multipliers()
    epsilons: Multipliers = Multipliers()
    weight_decays: Multipliers = Multipliers()

    def problems(self, at: str, zeros: Collection[str]) -> list[Problem]:
        """zeros: modules that begin at zero, whatever they are multiplied with."""
        found = []
        for key in ("base_width", "base_depth"):
            if getattr(self, key) < 0:
                remedy = "give the tuned shape, or 0 to transfer nothing"
                found.append(Problem(f"{at}.{key}", getattr(self, key), "is negative", remedy))
        if not 0.5 <= self.alpha <= 1:
            found.append(Problem(f"{at}.alpha", self.alpha, "outside [1/2, 1]", "1 is CompleteP"))
        without = {
            "inits": dict.fromkeys(GAINS, "a gain begins at 1") | dict.fromkeys(zeros, "its initial deviation is 0"),
            "learning_rates": {},
            "epsilons": {},
            "weight_decays": dict.fromkeys(GAINS, "a gain does not decay"),
        }
        for key, own in without.items():
            found += getattr(self, key).problems(f"{at}.{key}", zero=key != "epsilons", without=own)
        return found

    def wider(self, width: int) -> float:
        """m_N of a network of this width."""
        return width / (self.base_width or width)

    def deeper(self, depth: int) -> float:
        """m_L of a network of this depth."""
        return depth / (self.base_depth or depth)


def residual_multiplier(settings: ParameterizationSettings, depth: int) -> float:
    """Factor on every residual branch: m_L^-alpha."""
    return settings.deeper(depth) ** -settings.alpha


def scales(settings: ParameterizationSettings, role: str, width: int, depth: int) -> Scales:
    """The factors of a tensor of `role` in a network of this width and depth, by the table alone."""
    wide, deep = settings.wider(width), settings.deeper(depth)
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
    return table[role]


def tensor_scales(
    settings: ParameterizationSettings,
    role: str,
    modules: Sequence[str],
    axes: Sequence[str | None],
    width: int,
    depth: int,
) -> Scales:
    """The factors of one tensor with its multipliers.

    modules: names of what it holds: one, or as many as its dim 1 has
    axes:    its logical axes; "layer" comes first if it is stacked
    """
    own = scales(settings, role, width, depth)
    of = lambda multipliers: multipliers.of(modules, depth if axes[0] == "layer" else 0, len(axes))  # noqa: E731
    return Scales(
        own.init * of(settings.inits),
        own.learning_rate * of(settings.learning_rates),
        own.epsilon * of(settings.epsilons),
        own.weight_decay * of(settings.weight_decays),
    )
