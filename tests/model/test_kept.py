"""Looking again at a part of a row, with the keys and values of the rest as they were kept."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdm.model import attention
from mdm.model.network import Network
from mdm.model.transformer import ModelSettings

B, L = 2, 12
SEGMENTS = np.array([[1] * 7 + [2] * 5, [1] * 9 + [0] * 3], np.int32)
PLACE = np.array([[1, 2, 6, 8], [0, 4, L, L]], np.int32)  # the last two are nothing


@pytest.fixture(scope="module", params=["unroll", "scan"])
def build(vocabulary, request):
    def of(depth):
        settings = ModelSettings(width=16, depth=depth, head_size=8, hidden=24, walk=request.param)
        network = Network(settings, vocabulary)
        return network.bind(network.initial_parameters(3))

    return of


def inputs(vocabulary, seed=0):
    rng = np.random.default_rng(seed)
    ids = rng.integers(vocabulary.size, size=(B, L)).astype(np.int32)
    positions = rng.integers(20, size=(B, L, 3)).astype(np.int32)
    return ids, SEGMENTS, positions, rng.integers(-1, len(vocabulary.ranges), (B, L)).astype(np.int8)


def part(ids, segments, positions, ranges):
    at = np.minimum(PLACE, L - 1)
    ids, segments, ranges = (np.take_along_axis(a, at, 1) for a in (ids, segments, ranges))
    return ids, np.where(PLACE < L, segments, 0), np.take_along_axis(positions, at[..., None], 1), ranges, PLACE


def assert_equal_there(of_part, whole):
    row, slot = np.nonzero(PLACE < L)
    np.testing.assert_allclose(of_part[row, slot], whole[row, PLACE[row, slot]], atol=2e-5)


def test_a_pass_that_keeps_is_the_pass(build, vocabulary):
    denoiser, given = build(3), inputs(vocabulary)
    np.testing.assert_array_equal(denoiser.hidden_and_cache(*given)[0], denoiser.hidden(*given))


def test_a_part_of_an_unchanged_row_is_as_in_the_whole(build, vocabulary):
    denoiser, given = build(3), inputs(vocabulary)
    whole, cache = denoiser.hidden_and_cache(*given)
    assert_equal_there(jax.jit(denoiser.hidden_of_part)(*part(*given), cache), whole)


def test_a_part_sees_itself_as_it_is_now(build, vocabulary):
    """With one layer the rest of a row keys and values nothing of the part, so a change inside of it is seen exactly."""
    denoiser, given = build(1), inputs(vocabulary)
    _, cache = denoiser.hidden_and_cache(*given)
    ids = given[0].copy()
    row, slot = np.nonzero(PLACE < L)
    ids[row, PLACE[row, slot]] = inputs(vocabulary, seed=1)[0][row, PLACE[row, slot]]
    changed = (ids, *given[1:])
    whole = denoiser.hidden(*changed)
    assert_equal_there(denoiser.hidden_of_part(*part(*changed), cache), whole)
    assert np.abs(np.asarray(whole - denoiser.hidden(*given))).max() > 0.1


def test_with_more_layers_the_rest_is_as_it_was(build, vocabulary):
    denoiser, given = build(2), inputs(vocabulary)
    _, cache = denoiser.hidden_and_cache(*given)
    elsewhere = given[0].copy()
    elsewhere[0, 3] = (elsewhere[0, 3] + 1) % vocabulary.size  # not of the part
    now, before = (denoiser.hidden_of_part(*part(ids, *given[1:]), cache) for ids in (elsewhere, given[0]))
    np.testing.assert_array_equal(now, before)


def test_attention_to_what_is_kept_is_attention_to_all():
    rng = np.random.default_rng(0)
    q, k, v = (jnp.asarray(rng.standard_normal((B, L, 2, 4)), jnp.float32) for _ in range(3))
    at = np.array([[0, 3, 4], [2, 5, 8]])
    own = [np.take_along_axis(np.asarray(x), at[..., None, None], 1) for x in (q, k, v)]
    own_segments = np.take_along_axis(SEGMENTS, at, 1)
    spoilt = [
        x.at[np.arange(B)[:, None], at].set(1e3) for x in (k, v)
    ]  # what stood where the part stands counts for nothing
    mixed = attention.attend_with_kept(*own, own_segments, at, *map(attention.kept, spoilt), SEGMENTS)
    wanted = attention.reference(own[0], k, v, own_segments, SEGMENTS)
    np.testing.assert_allclose(mixed, wanted, atol=1e-5)
