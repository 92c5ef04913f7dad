import jax
import jax.numpy as jnp
import numpy as np

from mdm.sampling.certainty import log_prob, margin, negative_entropy

LAW = np.array([[0.5, 0.3, 0.2], [1 / 3, 1 / 3, 1 / 3], [0.05, 0.05, 0.9]])
SYMBOLS = jnp.array([1, 0, 2])


def test_measures_of_a_law():
    laws = jnp.log(jnp.asarray(LAW, jnp.float32))
    np.testing.assert_allclose(log_prob(laws, SYMBOLS), np.log([0.3, 1 / 3, 0.9]), rtol=1e-5)
    np.testing.assert_allclose(margin(laws, SYMBOLS), [0.2, 0.0, 0.85], atol=1e-6)
    np.testing.assert_allclose(negative_entropy(laws, SYMBOLS), (LAW * np.log(LAW)).sum(1), rtol=1e-5)


def test_a_law_without_doubt_is_finite():
    laws = jax.nn.log_softmax(jnp.array([[500.0, 0.0, -jnp.inf], [-jnp.inf, 3.0, -jnp.inf]]))
    np.testing.assert_allclose(negative_entropy(laws, SYMBOLS[:2]), 0, atol=1e-6)
    np.testing.assert_allclose(margin(laws, SYMBOLS[:2]), 1)


def test_a_range_of_one_symbol():
    assert margin(jnp.zeros((1, 1)), jnp.zeros(1, jnp.int32)) == 1
