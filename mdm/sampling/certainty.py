"""How sure the network is of a position, by its own law: without temperature, truncation or noise. Higher is surer.

Letters: V symbols of a range; leading dims [...] are free.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

Measure = Callable[[jax.Array, jax.Array], jax.Array]
"""Log-probabilities float32 [..., V] and the symbols drawn, int32 [...] -> certainty float32 [...]."""


def log_prob(laws: jax.Array, symbols: jax.Array) -> jax.Array:
    """Of the symbol that was drawn, in nats."""
    return jnp.take_along_axis(laws, symbols[..., None], axis=-1)[..., 0]


def margin(laws: jax.Array, symbols: jax.Array) -> jax.Array:
    """Probability of the likeliest symbol less that of the second (Kim et al. 2025, arXiv 2502.06768)."""
    first = jnp.argmax(laws, axis=-1, keepdims=True)
    others = jnp.where(jnp.arange(laws.shape[-1]) == first, -jnp.inf, laws)
    return jnp.exp(jnp.max(laws, axis=-1)) - jnp.exp(jnp.max(others, axis=-1))


def negative_entropy(laws: jax.Array, symbols: jax.Array) -> jax.Array:
    """In nats; 0 where there is no doubt."""
    return jnp.sum(jnp.exp(laws) * jnp.maximum(laws, -1e4), axis=-1)  # 0 * -inf would be NaN
