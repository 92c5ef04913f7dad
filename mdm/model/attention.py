"""Attention inside segments, in every direction.

A query sees the keys of its own segment and nothing else; padding (segment 0) is seen by no segment. What a padding
query returns is arbitrary and finite.

Letters: B rows, L query positions, S key positions, H heads, K head size.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

_HIDDEN = -1e30  # finite: a padding query, which sees nothing, then averages over everything instead of giving NaN


def reference(
    query: jax.Array, key: jax.Array, value: jax.Array, query_segments: jax.Array, key_segments: jax.Array
) -> jax.Array:
    """The plain formula. [B, L, H, K], [B, S, H, K] twice, int32 [B, L], int32 [B, S] -> [B, L, H, K].

    The scale is 1 / sqrt(K); scores and softmax are float32 whatever the inputs are.
    """
    scores = jnp.einsum("blhk,bshk->bhls", query, key, preferred_element_type=jnp.float32) * query.shape[-1] ** -0.5
    seen = (query_segments[:, :, None] == key_segments[:, None, :]) & (key_segments > 0)[:, None, :]
    shares = jax.nn.softmax(jnp.where(seen[:, None], scores, _HIDDEN), axis=-1).astype(value.dtype)
    return jnp.einsum("bhls,bshk->blhk", shares, value)


BACKENDS: dict[str, Callable[..., jax.Array]] = {"reference": reference}
"""Chosen by name in the config, never from the default backend: that one lies during ahead-of-time compilation."""
