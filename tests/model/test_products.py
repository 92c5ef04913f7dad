import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdm.model.products import product

PATTERNS = {
    "bld,df->blf": ((2, 3, 4), (4, 5)),
    "bld,dhk->blhk": ((2, 3, 4), (4, 5, 6)),
    "blhk,hkd->bld": ((2, 3, 5, 6), (5, 6, 4)),
}


@pytest.mark.parametrize("pattern", PATTERNS)
def test_values_and_gradients_are_those_of_einsum(pattern):
    rng = np.random.default_rng(0)
    x, weights = (jnp.asarray(rng.standard_normal(shape), jnp.float32) for shape in PATTERNS[pattern])
    pull = jnp.asarray(rng.standard_normal(jnp.einsum(pattern, x, weights).shape), jnp.float32)

    def loss(of, x, weights):
        return jnp.sum(jnp.sin(of(pattern, x, weights)) * pull)

    ours, plain = (jax.value_and_grad(loss, (1, 2))(of, x, weights) for of in (product, jnp.einsum))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), ours, plain)


def test_gradients_have_the_dtype_of_what_they_are_of():
    x, weights = jnp.ones((2, 3, 4), jnp.bfloat16), jnp.ones((4, 5), jnp.bfloat16)
    found = jax.grad(lambda x, w: product("bld,df->blf", x, w).sum().astype(jnp.float32), (0, 1))(x, weights)
    assert [g.dtype for g in found] == [jnp.bfloat16] * 2
