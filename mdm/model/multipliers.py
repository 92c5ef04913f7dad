"""Multipliers on one hyperparameter, by module and by depth, on top of the parameterisation's table.

Source: Complete(d)P, arXiv 2512.22382: the logarithm of a multiplier is a term of the module plus a term of the depth, and the
terms of the depth are interpolated linearly when the network gets another number of layers. What is tuned on a small network so
carries over to a large one.

Letters: N layers, P parts of a stacked tensor.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np

from mdm.problems import Problem

GAINS = ("attention_norm", "query_norm", "key_norm", "mlp_norm", "final_norm")
"""Modules that are gains of a norm: they begin at 1 and do not decay."""


@dataclasses.dataclass(frozen=True)
class Multipliers:
    """One factor for each module.

    layers: factors from the first layer to the last, as many as one likes, at equal distances; their logarithms are interpolated
            to the layers that the network has. They act on everything inside a layer; empty: 1 everywhere.
    """

    embedding: float = 1.0
    range_embedding: float = 1.0
    attention_norm: float = 1.0
    query: float = 1.0
    key: float = 1.0
    value: float = 1.0
    query_norm: float = 1.0
    key_norm: float = 1.0
    out: float = 1.0
    mlp_norm: float = 1.0
    gate: float = 1.0
    up: float = 1.0
    down: float = 1.0
    final_norm: float = 1.0
    unembedding: float = 1.0
    layers: tuple[float, ...] = ()

    def problems(self, at: str, *, zero: bool, without: Mapping[str, str]) -> list[Problem]:
        """zero: whether a module may be multiplied with 0; without: module -> why it has nothing that could be multiplied."""
        found = []
        for module, reason in without.items():
            if getattr(self, module) != 1:
                found.append(
                    Problem(f"{at}.{module}", getattr(self, module), f"has no effect: {reason}", "leave it at 1")
                )
        for field in dataclasses.fields(self):
            if field.name == "layers":
                continue
            value = getattr(self, field.name)
            if not (0 < value < math.inf or (zero and value == 0)):
                remedy = "1 is neutral, 0 switches it off" if zero else "1 is neutral"
                found.append(Problem(f"{at}.{field.name}", value, "is no factor", remedy))
        for number, value in enumerate(self.layers):
            if not 0 < value < math.inf:
                found.append(Problem(f"{at}.layers[{number}]", value, "is not a positive factor", "1 is neutral"))
        return found

    def of(self, modules: Sequence[str], depth: int, rank: int) -> float | np.ndarray:
        """The factor of a tensor of `rank` dims, to be broadcast with it.

        modules: one name for all of it, or the names of its P parts along dim 1
        depth:   N for a tensor stacked over layers in dim 0, 0 for any other
        Returns a float where all factors are the same, else float32 [N or 1, P or 1, 1, ...].
        """
        own = np.array([getattr(self, name) for name in modules])
        by_layer = self.by_layer(depth) if depth else np.ones(1)
        factors = by_layer[:, None] * own if len(modules) > 1 else by_layer * own
        if (factors == factors.flat[0]).all():
            return float(factors.flat[0])
        return factors.reshape(factors.shape + (1,) * (rank - factors.ndim)).astype(np.float32)

    def by_layer(self, depth: int) -> np.ndarray:
        """float64 [N]: the factors of the layers of a network of this depth."""
        if not self.layers:
            return np.ones(depth)
        knots = np.linspace(0.0, 1.0, len(self.layers))
        places = np.linspace(0.0, 1.0, depth) if depth > 1 else np.array([0.5])
        return np.exp(np.interp(places, knots, np.log(self.layers)))
