import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from mdm.model.network import Network
from mdm.model.parameterization import ROLES
from mdm.model.transformer import ModelSettings
from mdm.tokens.vocabulary import NO_RANGE

AXES = {"layer", "width", "heads", "hidden", "features", None}


@pytest.fixture(scope="module")
def network(vocabulary):
    return Network(
        ModelSettings(width=16, depth=3, head_size=8, hidden=24, unembedding_std=1.0, head_chunk=4), vocabulary
    )


@pytest.fixture(scope="module")
def parameters(network):
    return network.initial_parameters(0)


def flat(tree):
    return traverse_util.flatten_dict(tree)


def test_parameters_are_a_plain_tree_of_float32(network, parameters):
    assert all(type(x) is dict for x in (parameters, parameters["blocks"]))
    assert all(isinstance(x, jax.Array) and x.dtype == jnp.float32 for x in flat(parameters).values())
    assert all(x.shape[0] == 3 for x in parameters["blocks"].values())
    abstract = flat(network.abstract_parameters())
    assert {k: (x.shape, x.dtype) for k, x in abstract.items()} == {
        k: (x.shape, x.dtype) for k, x in flat(parameters).items()
    }


def test_annotations_match_the_parameters(network, parameters):
    roles, axes = flat(network.annotations("role")), flat(network.annotations("axes"))
    assert set(roles) == set(axes) == set(flat(parameters))
    assert set(roles.values()) == set(ROLES)
    for path, leaf in flat(parameters).items():
        assert len(axes[path]) == leaf.ndim and set(axes[path]) <= AXES, path
        for name, size in zip(axes[path], leaf.shape, strict=True):
            sizes = {"layer": {3}, "width": {16}, "heads": {2}, "hidden": {24}}.get(name)
            assert sizes is None or size in sizes, (path, name)
    assert roles["unembedding",] == "unembedding" and roles["blocks", "down"] == "hidden"
    assert axes["blocks", "qkv"] == ("layer", None, "width", "heads", None)


def test_initialisation_is_a_function_of_the_seed(network, parameters):
    same, other = network.initial_parameters(0), network.initial_parameters(1)
    jax.tree.map(np.testing.assert_array_equal, same, parameters)
    assert not np.array_equal(other["embedding"], parameters["embedding"])
    assert (
        len({float(x.ravel()[0]) for x in flat(parameters).values() if float(x.ravel()[0]) != 1}) == 7
    )  # no key used twice


def test_bound_parameters_are_the_ones_given(network, parameters):
    assert network.bind(parameters).module.embedding[...] is not None
    doubled = jax.tree.map(lambda x: 2 * x, parameters)
    bound, again = network.bind(doubled), network.bind(parameters)  # binding one leaves the other alone
    np.testing.assert_array_equal(bound.module.unembedding[...], doubled["unembedding"])
    np.testing.assert_array_equal(again.module.blocks.down[...], parameters["blocks"]["down"])


def test_logits_and_cross_entropy_agree_over_each_range(network, parameters, vocabulary):
    denoiser = network.bind(parameters)
    rng = np.random.default_rng(0)
    hidden = jnp.asarray(rng.normal(size=(10, 16)), jnp.float32)
    ranges = np.array([0, 1, 2, 3, NO_RANGE] * 2, np.int32)
    target = np.array([vocabulary.ranges[r].start + 2 if r >= 0 else vocabulary.pad for r in ranges], np.int32)
    _, nats = denoiser.cross_entropy(hidden, target, ranges, jnp.ones(10), jnp.float32(0))
    for i, number in enumerate(ranges):
        if number == NO_RANGE:
            assert nats[i] == 0
            continue
        logits = denoiser.logits(hidden[i], int(number))
        assert logits.shape == (vocabulary.ranges[number].size,) and logits.dtype == jnp.float32
        assert float(nats[i]) == pytest.approx(-float(jax.nn.log_softmax(logits)[2]), rel=1e-5)
