import numpy as np
import pytest

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


def test_multipliers_act_on_the_learning_rate_of_their_role_alone():
    settings = ParameterizationSettings(learning_rates={"embedding": 3.0, "qk_norm": 0.0})
    plain = ParameterizationSettings()
    for role in ROLES:
        ours, theirs = scales(settings, role, 256, 8), scales(plain, role, 256, 8)
        factor = {"embedding": 3.0, "qk_norm": 0.0}.get(role, 1.0)
        assert ours == Scales(theirs.init, theirs.learning_rate * factor, theirs.epsilon, theirs.weight_decay)


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


def test_settings_list_every_problem():
    bad = ParameterizationSettings(0, 0, 0.2, {"attention": 1.0, "norm": -1.0, "hidden": float("nan")})
    assert sorted(p.where for p in bad.problems("p")) == [
        "p.alpha", "p.base_depth", "p.base_width", "p.learning_rates", "p.learning_rates.hidden", "p.learning_rates.norm",
    ]  # fmt: skip
    assert ParameterizationSettings().problems("p") == []
