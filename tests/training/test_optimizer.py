"""AdamW with every tensor's own factors, and schedules in tokens."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mdm.model.multipliers import Multipliers
from mdm.model.network import Network
from mdm.model.parameterization import ParameterizationSettings, scales
from mdm.model.transformer import ModelSettings
from mdm.training.batch_scaling import BatchScalingSettings, batch_scale
from mdm.training.optimizer import GAINS, OptimizerSettings, ema_decay, optimizer, peak, schedule

TUNED = batch_scale(BatchScalingSettings(), batch=1, horizon=1)  # at the batch and horizon of the settings


def network(vocabulary, **changes):
    return Network(ModelSettings(width=32, depth=4, head_size=8, **changes), vocabulary)


def trees(network, seed=0):
    parameters, random = network.initial_parameters(seed), np.random.default_rng(1)
    return parameters, jax.tree.map(lambda p: jnp.float32(1e-2 * random.standard_normal(p.shape)), parameters)


def test_at_the_base_shape_it_is_adamw(vocabulary):
    net = network(vocabulary, parameterization=ParameterizationSettings(32, 4))
    parameters, gradient = trees(net)
    settings = OptimizerSettings(clip=0.0, weight_decay=0.1)
    ours = optimizer(settings, net, TUNED)
    decayed = jax.tree.map(lambda role: role not in GAINS, net.annotations("role"))
    theirs = optax.adamw(1.0, settings.beta1, settings.beta2, settings.epsilon, weight_decay=0.1, mask=decayed)
    a, b = ours.init(parameters), theirs.init(parameters)
    ours, theirs = jax.jit(ours.update), jax.jit(theirs.update)
    for _ in range(3):
        u, a = ours(gradient, a, parameters)
        v, b = theirs(gradient, b, parameters)
        jax.tree.map(lambda x, y: np.testing.assert_allclose(x, -y, rtol=1e-5, atol=1e-7), u, v)


def test_each_tensor_has_its_own_epsilon_rate_and_decay(vocabulary):
    table = ParameterizationSettings(8, 2)
    net = network(vocabulary, parameterization=table)
    parameters, gradient = trees(net)
    gradient = jax.tree.map(lambda g: g * 1e-7, gradient)  # where epsilon counts
    settings = OptimizerSettings(clip=0.0, epsilon=1e-8, weight_decay=0.1)
    tool = optimizer(settings, net, TUNED)
    updates, _ = jax.jit(tool.update)(gradient, tool.init(parameters), parameters)

    def check(role, parameter, g, update):
        own = scales(table, role, 32, 4)
        decay = 0.0 if role in GAINS else 0.1 * own.weight_decay
        wanted = own.learning_rate * (g / (jnp.abs(g) + 1e-8 * own.epsilon) + decay * parameter)
        np.testing.assert_allclose(update, wanted, rtol=2e-4, atol=1e-7)

    jax.tree.map(check, net.annotations("role"), parameters, gradient, updates)


def test_multipliers_act_on_their_module_and_layer(vocabulary):
    rates, decays = Multipliers(query=3.0, final_norm=0.0, layers=(1.0, 8.0)), Multipliers(embedding=0.0, down=2.0)
    epsilons = Multipliers(up=100.0)
    table = ParameterizationSettings(8, 2, learning_rates=rates, weight_decays=decays, epsilons=epsilons)
    settings = OptimizerSettings(clip=0.0, epsilon=1e-4, weight_decay=0.1)
    updates = {}
    for name, own in (("with", table), ("without", ParameterizationSettings(8, 2))):
        net = network(vocabulary, parameterization=own)
        parameters, gradient = trees(net)
        tool = optimizer(settings, net, TUNED)
        updates[name] = jax.jit(tool.update)(gradient, tool.init(parameters), parameters)[0]
    ours, plain = updates["with"], updates["without"]
    assert not np.any(ours["final_norm"])
    for layer, by_layer in enumerate((1, 2, 4, 8)):
        for part, factor in enumerate((3, 1, 1)):
            np.testing.assert_allclose(
                ours["blocks"]["qkv"][layer, part], by_layer * factor * plain["blocks"]["qkv"][layer, part], rtol=1e-5
            )
    own = scales(table, "hidden", 32, 4)
    g, p = (tree["blocks"]["gate_up"][0, 1] for tree in (gradient, parameters))
    wanted = own.learning_rate * (g / (jnp.abs(g) + 1e-2 * own.epsilon) + 0.1 * own.weight_decay * p)
    np.testing.assert_allclose(ours["blocks"]["gate_up"][0, 1], wanted, rtol=2e-4, atol=1e-7)
    added = lambda name, tree: tree["blocks"][name] if name in tree["blocks"] else tree[name]  # noqa: E731
    for name, role, factor in (("embedding", "embedding", -1.0), ("down", "hidden", 1.0)):  # 0 and 2 times the decay
        own = scales(table, role, 32, 4)
        more = factor * 0.1 * own.weight_decay * own.learning_rate * added(name, parameters)
        by_layer = np.array([1, 2, 4, 8]).reshape(4, 1, 1) if role == "hidden" else 1
        np.testing.assert_allclose(added(name, ours), by_layer * (added(name, plain) + more), rtol=1e-4, atol=1e-6)


def test_the_whole_gradient_is_clipped(vocabulary):
    """Adam forgets a common factor, so it is the second update that shows whether the first gradient was clipped."""
    net = network(vocabulary)
    parameters, gradient = trees(net)
    large = jax.tree.map(lambda g: 1e6 * g, gradient)

    def second(clip):
        tool = optimizer(OptimizerSettings(clip=clip), net, TUNED)
        update = jax.jit(tool.update)
        _, state = update(large, tool.init(parameters), parameters)
        return update(gradient, state, parameters)[0]["embedding"]

    assert float(jnp.abs(second(1.0)).mean()) > 1.3 * float(jnp.abs(second(0.0)).mean())


@pytest.mark.parametrize("name", ["cosine", "stable-decay", "constant"])
def test_schedules_warm_up_hold_and_end_where_they_say(name):
    settings = OptimizerSettings(learning_rate=2.0, warmup_tokens=100, schedule=name, final_factor=0.1, decay_share=0.2)
    share = schedule(settings, 1000)
    values = peak(settings, TUNED) * np.array([share(t) for t in range(0, 1001, 10)])
    np.testing.assert_allclose(values[:11], np.linspace(0, 2, 11), rtol=1e-6)
    np.testing.assert_allclose(values[-1], 2.0 if name == "constant" else 0.2, rtol=1e-5)
    assert np.all(np.diff(values[10:]) <= 1e-6)
    if name == "stable-decay":
        np.testing.assert_allclose(values[10:83], 2.0)  # 100 + 720 of 900
        assert values[84] < 2.0
    if name == "cosine":
        np.testing.assert_allclose(values[55], 1.1, rtol=1e-5)


def test_the_warm_up_takes_a_quarter_at_most():
    share = schedule(OptimizerSettings(warmup_tokens=10**9, schedule="constant"), 1000)
    assert float(share(249)) < 1.0 == float(share(250))


def test_half_life():
    settings = OptimizerSettings(ema_half_life=1000)
    assert ema_decay(settings, 100) ** 10 == pytest.approx(0.5)
    assert ema_decay(OptimizerSettings(), 100) == 0.0


@pytest.mark.parametrize(
    "change",
    [
        {"learning_rate": -1.0}, {"beta2": 1.0}, {"clip": -1.0}, {"schedule": "linear"}, {"warmup_tokens": -1},
        {"decay_share": 2.0}, {"ema_half_life": -1}, {"weight_decay": float("nan")},
    ],
)  # fmt: skip
def test_impossible_settings_are_named(change):
    (problem,) = OptimizerSettings(**change).problems("optimizer")
    assert problem.where == f"optimizer.{next(iter(change))}"
    assert OptimizerSettings().problems("optimizer") == []


@pytest.mark.parametrize("kind", ["cosine", "stable-decay", "constant"])
def test_a_schedule_of_trillions_of_tokens(kind):
    settings = OptimizerSettings(schedule=kind, warmup_tokens=5_000_000_000, final_factor=0.1)
    rate = jax.jit(schedule(settings, 6_400_000_000_000))
    assert float(rate(jnp.float32(2.5e9))) == pytest.approx(0.5) and float(rate(jnp.float32(1e12))) > 0.9
    assert float(rate(jnp.float32(6.4e12))) == pytest.approx(1.0 if kind == "constant" else 0.1, abs=1e-3)
