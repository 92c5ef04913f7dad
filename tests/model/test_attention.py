import functools

import jax
import numpy as np
import pytest

from mdm.model import attention, splash
from mdm.model.attention import BACKENDS


@pytest.fixture(scope="module")
def inputs():
    rng = np.random.default_rng(0)
    query, key, value = (rng.normal(size=(2, 7, 2, 4)).astype(np.float32) for _ in range(3))
    segments = np.array([[1, 1, 2, 2, 2, 0, 0], [1, 2, 1, 3, 0, 2, 3]], np.int32)
    return query, key, value, segments


every_backend = pytest.mark.parametrize("name", [name for name, kernel in BACKENDS.items() if not kernel.platform])


@every_backend
def test_backend_is_the_formula(inputs, name):
    query, key, value, segments = inputs
    found = np.asarray(jax.jit(BACKENDS[name].attend)(query, key, value, segments, segments))
    for b in range(2):
        for q in np.flatnonzero(segments[b]):
            seen = np.flatnonzero(segments[b] == segments[b, q])
            for h in range(2):
                shares = np.exp(key[b, seen, h] @ query[b, q, h] / np.sqrt(4))
                np.testing.assert_allclose(found[b, q, h], shares @ value[b, seen, h] / shares.sum(), atol=1e-5)


@every_backend
def test_padding_queries_are_finite_and_padding_keys_unseen(inputs, name):
    query, key, value, segments = inputs
    run = jax.jit(BACKENDS[name].attend)
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
    found = jax.jit(BACKENDS[name].attend)(*half, segments, segments)
    assert found.dtype == "bfloat16"
    exact = jax.jit(BACKENDS[name].attend)(query, key, value, segments, segments)
    np.testing.assert_allclose(np.float32(found)[segments > 0], np.asarray(exact)[segments > 0], atol=0.05)


@pytest.fixture(scope="module")
def long_inputs():
    """Rows of 256 positions, in segments of odd lengths with padding at the end; heads of 128."""
    rng = np.random.default_rng(1)
    query, key, value = (rng.normal(size=(2, 256, 2, 128)).astype(np.float32) for _ in range(3))
    segments = np.stack([np.repeat([1, 2, 3, 0], [70, 101, 60, 25]), np.repeat([1, 2], [130, 126])]).astype(np.int32)
    return query, key, value, segments


def gradients(attend, inputs):
    query, key, value, segments = inputs
    seen = (segments > 0)[..., None, None]

    def loss(*heads):
        mixed = attend(*heads, segments, segments)
        return jax.numpy.sum(jax.numpy.where(seen, mixed, 0) * np.sin(np.arange(128)))

    return jax.jit(jax.value_and_grad(loss, argnums=(0, 1, 2)))(query, key, value)


@pytest.mark.parametrize("attend", [BACKENDS["blockwise"].attend, functools.partial(splash.attend, interpret=True)],
                         ids=["blockwise", "splash"])  # fmt: skip
def test_long_rows_have_the_gradients_of_the_reference(long_inputs, attend):
    found, expected = gradients(attend, long_inputs), gradients(attention.reference, long_inputs)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), found, expected)


def test_blockwise_takes_rows_of_any_length(long_inputs):
    query, key, value, segments = (x[:, :201] for x in long_inputs)
    found = jax.jit(attention.blockwise)(query, key, value, segments, segments)
    expected = attention.reference(query, key, value, segments, segments)
    np.testing.assert_allclose(found[segments > 0], expected[segments > 0], atol=1e-5)


def test_blockwise_keeps_no_square_of_the_row():
    shapes = [jax.ShapeDtypeStruct((1, 2048, 2, 16), "float32")] * 3 + [jax.ShapeDtypeStruct((1, 2048), "int32")] * 2

    def temporaries(attend):
        run = jax.jit(jax.grad(lambda q, *rest: attend(q, *rest).sum()))
        return run.lower(*shapes).compile().memory_analysis().temp_size_in_bytes

    assert temporaries(attention.blockwise) < temporaries(attention.reference) / 4


def test_a_kernel_says_what_it_does_not_take():
    assert not attention.problems("model.attention", "splash", 128, 3072, "bfloat16", "tpu")
    text = "\n".join(map(str, attention.problems("model.attention", "splash", 96, 3000, "bfloat16", "cpu")))
    assert "runs on tpu" in text and "model.head_size = 96" in text and "data.row_length = 3000" in text
    told = attention.problems("model.attention", "cudnn", 264, 3001, "float32", "gpu")
    assert [problem.where for problem in told] == ["data.row_length", "model.head_size", "model.compute_dtype"]
    assert not attention.problems("model.attention", "cudnn", 128, 3072, "bfloat16", "gpu")
