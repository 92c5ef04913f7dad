import jax
import numpy as np
import pytest

from mdm.model.attention import BACKENDS


@pytest.fixture(scope="module")
def inputs():
    rng = np.random.default_rng(0)
    query, key, value = (rng.normal(size=(2, 7, 2, 4)).astype(np.float32) for _ in range(3))
    segments = np.array([[1, 1, 2, 2, 2, 0, 0], [1, 2, 1, 3, 0, 2, 3]], np.int32)
    return query, key, value, segments


every_backend = pytest.mark.parametrize("name", BACKENDS)


@every_backend
def test_backend_is_the_formula(inputs, name):
    query, key, value, segments = inputs
    found = np.asarray(jax.jit(BACKENDS[name])(query, key, value, segments, segments))
    for b in range(2):
        for q in np.flatnonzero(segments[b]):
            seen = np.flatnonzero(segments[b] == segments[b, q])
            for h in range(2):
                shares = np.exp(key[b, seen, h] @ query[b, q, h] / np.sqrt(4))
                np.testing.assert_allclose(found[b, q, h], shares @ value[b, seen, h] / shares.sum(), atol=1e-5)


@every_backend
def test_padding_queries_are_finite_and_padding_keys_unseen(inputs, name):
    query, key, value, segments = inputs
    run = jax.jit(BACKENDS[name])
    found = np.asarray(run(query, key, value, segments, segments))
    assert np.isfinite(found).all()
    padding = segments == 0
    key, value = key.copy(), value.copy()
    key[padding], value[padding] = 7.0, -9.0
    again = np.asarray(run(query, key, value, segments, segments))
    np.testing.assert_array_equal(again[~padding], found[~padding])


@every_backend
def test_result_has_the_dtype_of_the_values(inputs, name):
    query, key, value, segments = inputs
    half = [x.astype("bfloat16") for x in (query, key, value)]
    found = jax.jit(BACKENDS[name])(*half, segments, segments)
    assert found.dtype == "bfloat16"
    exact = jax.jit(BACKENDS[name])(query, key, value, segments, segments)
    np.testing.assert_allclose(np.float32(found)[segments > 0], np.asarray(exact)[segments > 0], atol=0.05)
