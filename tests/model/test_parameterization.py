import dataclasses

import numpy as np
import pytest

from mdm.model.multipliers import Multipliers
from mdm.model.network import Network
from mdm.model.parameterization import ROLES, ParameterizationSettings, Scales, residual_multiplier, scales
from mdm.model.transformer import ModelSettings
from mdm.tokens.vocabulary import Vocabulary


@pytest.mark.parametrize("alpha", [0.5, 0.75, 1.0])
def test_every_factor_is_one_at_the_base_shape(alpha):
    settings = ParameterizationSettings(96, 5, alpha)
    assert {scales(settings, role, 96, 5) for role in ROLES} == {Scales(1, 1, 1, 1)}
    assert residual_multiplier(settings, 5) == 1


def test_table_at_four_times_the_width_and_nine_times_the_depth():
    # arXiv 2512.22382, Table 1, by hand: m_N = 4, m_L = 9; init as a deviation, not a variance.
    for alpha, lr, eps in ((1.0, 1, 1 / 9), (0.5, 1 / 3, 1 / 3)):
        settings = ParameterizationSettings(32, 2, alpha)
        expected = {
            "embedding": (1, 1, 1 / 4, 1),
            "hidden": (1 / 2, lr / 4, eps / 4, 4),
            "norm": (1, lr, eps / 4, 1),
            "qk_norm": (1, lr, eps, 1),
            "final_norm": (1, 1, 1, 1),
            "unembedding": (1 / 4, 1 / 4, 1, 4),
        }
        assert set(expected) == set(ROLES)
        for role, row in expected.items():
            found = scales(settings, role, 128, 18)
            assert (found.init, found.learning_rate, found.epsilon, found.weight_decay) == pytest.approx(row), role
        assert residual_multiplier(settings, 18) == pytest.approx(9**-alpha)


def test_without_a_base_nothing_is_transferred():
    settings = ParameterizationSettings(base_width=0, base_depth=0, alpha=0.5)
    assert {scales(settings, role, 640, 24) for role in ROLES} == {Scales(1, 1, 1, 1)}
    assert residual_multiplier(settings, 24) == 1


def test_initial_deviations_are_those_of_the_table():
    shape = ModelSettings(
        width=128, depth=2, head_size=32, hidden=192, embedding_std=0.7, unembedding_std=0.5,
        parameterization=ParameterizationSettings(base_width=32, base_depth=2),
    )  # fmt: skip
    parameters = Network(shape, Vocabulary.of({"text": (900,)})).initial_parameters(0)
    std = lambda x: float(np.std(x))  # noqa: E731
    assert std(parameters["embedding"]) == pytest.approx(0.7, rel=0.02)
    assert std(parameters["unembedding"]) == pytest.approx(0.5 / 4, rel=0.02)
    blocks = parameters["blocks"]
    for name, fan_in in (("qkv", 128), ("out", 128), ("gate_up", 128), ("down", 192)):
        assert std(blocks[name]) == pytest.approx(fan_in**-0.5, rel=0.02), name
        for layer in blocks[name]:  # each layer its own draw, of the same size
            assert std(layer) == pytest.approx(fan_in**-0.5, rel=0.03), name
        assert not np.array_equal(blocks[name][0], blocks[name][1])
    for gains in (
        parameters["final_norm"],
        *(blocks[n] for n in ("attention_norm", "mlp_norm", "query_norm", "key_norm")),
    ):
        assert (np.asarray(gains) == 1).all()


def test_initial_deviations_take_their_multipliers():
    own = Multipliers(embedding=0.5, key=2.0, up=0.0, layers=(1.0, 4.0))
    shape = ModelSettings(width=128, depth=3, head_size=32, unembedding_std=1.0)
    changed = dataclasses.replace(shape, parameterization=ParameterizationSettings(inits=own))
    ours, plain = (Network(s, Vocabulary.of({"text": (90,)})).initial_parameters(0) for s in (changed, shape))
    blocks, before = ours["blocks"], plain["blocks"]
    np.testing.assert_allclose(ours["embedding"], 0.5 * plain["embedding"], rtol=1e-6)
    np.testing.assert_array_equal(ours["range_embedding"], plain["range_embedding"])
    for layer, factor in enumerate((1, 2, 4)):
        for part, of_part in enumerate((1, 2, 1)):
            np.testing.assert_allclose(
                blocks["qkv"][layer, part], factor * of_part * before["qkv"][layer, part], rtol=1e-5, atol=1e-8
            )
        np.testing.assert_allclose(
            blocks["gate_up"][layer, 0], factor * before["gate_up"][layer, 0], rtol=1e-5, atol=1e-8
        )
        assert not np.any(blocks["gate_up"][layer, 1])
        assert (np.asarray(blocks["mlp_norm"][layer]) == 1).all()  # gains begin at 1


def test_settings_list_every_problem():
    rates, epsilons = Multipliers(out=-1.0, down=float("nan"), up=0.0, layers=(1.0, 0.0)), Multipliers(gate=0.0)
    bad = ParameterizationSettings(-1, -1, 0.2, learning_rates=rates, epsilons=epsilons)
    assert sorted(p.where for p in bad.problems("p", ())) == [
        "p.alpha", "p.base_depth", "p.base_width", "p.epsilons.gate",
        "p.learning_rates.down", "p.learning_rates.layers[1]", "p.learning_rates.out",
    ]  # fmt: skip
    assert ParameterizationSettings().problems("p", ()) == []


@pytest.mark.parametrize(
    "change, key",
    [
        ({"inits": Multipliers(query_norm=2.0)}, "inits.query_norm"),
        ({"weight_decays": Multipliers(final_norm=2.0)}, "weight_decays.final_norm"),
        ({"inits": Multipliers(unembedding=2.0)}, "inits.unembedding"),
    ],
)
def test_multipliers_without_effect_are_refused(change, key):
    settings = ModelSettings(parameterization=ParameterizationSettings(**change))
    (problem,) = settings.problems("model")
    assert problem.where == f"model.parameterization.{key}" and "has no effect" in str(problem)
    used = {"learning_rates": Multipliers(query_norm=2.0, final_norm=0.0), "inits": Multipliers(unembedding=2.0)}
    assert not ModelSettings(unembedding_std=1.0, parameterization=ParameterizationSettings(**used)).problems("model")
