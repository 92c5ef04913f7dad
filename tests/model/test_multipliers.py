"""Multipliers by module and depth: geometric interpolation, and shapes that broadcast."""

import dataclasses

import numpy as np
import pytest

from mdm.model.multipliers import Multipliers
from mdm.model.network import Network
from mdm.model.transformer import ModelSettings
from mdm.tokens.vocabulary import Vocabulary


def test_every_parameter_has_its_modules_and_every_module_a_parameter():
    network = Network(ModelSettings(width=16, depth=2, head_size=8), Vocabulary.of({"text": (5,)}))
    flat = {**network.annotations("modules")}
    named = [name for modules in (*flat.pop("blocks").values(), *flat.values()) for name in modules]
    assert sorted(named) == sorted(field.name for field in dataclasses.fields(Multipliers) if field.name != "layers")


@pytest.mark.parametrize(
    ("knots", "depth", "wanted"),
    [
        ((), 3, (1, 1, 1)), ((2.0,), 3, (2, 2, 2)), ((1.0, 4.0), 3, (1, 2, 4)), ((1.0, 4.0), 2, (1, 4)), ((1.0, 4.0), 1, (2,)),
        ((1.0, 8.0, 1.0), 7, (1, 2, 4, 8, 4, 2, 1)), ((3.0, 5.0, 7.0), 3, (3, 5, 7)),
    ],
)  # fmt: skip
def test_layers_are_interpolated_in_the_logarithm(knots, depth, wanted):
    np.testing.assert_allclose(Multipliers(layers=knots).by_layer(depth), wanted, rtol=1e-12)


def test_factors_broadcast_over_layers_and_parts():
    own = Multipliers(query=2.0, value=3.0, out=5.0, layers=(1.0, 2.0))
    factors = own.of(("query", "key", "value"), 2, 5)
    assert factors.shape == (2, 3, 1, 1, 1)
    np.testing.assert_allclose(factors[:, :, 0, 0, 0], [[2, 1, 3], [4, 2, 6]])
    assert own.of(("out",), 2, 4).shape == (2, 1, 1, 1)
    assert own.of(("embedding",), 0, 2) == 1.0
