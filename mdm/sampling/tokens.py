"""The token rule: which symbol a position gets, from its logits over its own output range.

The draw is Gumbel-max in float32 with JAX's high-precision noise. Ordinary float32 noise is capped near 16 (symbols
below about 1e-7 are never right) and bfloat16 noise at 4.84: both act like a lower temperature (arXiv 2409.02908).

Letters: V symbols of a range; leading dims [...] are free.
"""

from __future__ import annotations

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp


@dataclasses.dataclass(frozen=True)
class TokenRule:
    """Applied in this order; `SamplerSettings` holds the fields and checks them.

    temperature: divides the logits; 0 takes the likeliest symbol
    top_k:       keep the k likeliest symbols; 0 keeps all
    top_p:       keep the fewest likeliest symbols whose mass reaches p; 1 keeps all
    min_p:       keep the symbols at least min_p times as likely as the likeliest; 0 keeps all
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0


def truncate(logits: jax.Array, rule: TokenRule) -> jax.Array:
    """float32 [..., V] with -inf at what the rule leaves out; the likeliest symbol always stays.

    Symbols exactly as likely as the last one kept are kept too: which of them goes must not depend on their ids.
    """
    if 0 < rule.top_k < logits.shape[-1]:
        least = jax.lax.top_k(logits, rule.top_k)[0][..., -1:]
        logits = jnp.where(logits >= least, logits, -jnp.inf)
    if rule.top_p < 1:
        logits = jnp.where(_nucleus(jax.nn.softmax(logits, axis=-1), rule.top_p), logits, -jnp.inf)
    if rule.min_p > 0:
        least = jnp.max(logits, axis=-1, keepdims=True) + math.log(rule.min_p)
        logits = jnp.where(logits >= least, logits, -jnp.inf)
    return logits


@functools.partial(jax.jit, inline=True)  # called by itself, it would be compiled at every call
def _nucleus(shares: jax.Array, mass: float) -> jax.Array:
    """bool [..., V]: the symbols above the highest threshold at which what is kept still has `mass`; all if none has.

    The threshold is found by bisection over the floats themselves, whose bits, of numbers that are not negative, are ordered
    as they are: exact in 30 sums, and 16 times faster than a sort on a CPU ([1200, 2049]: 32 against 510 ms).
    """
    bits = jax.lax.bitcast_convert_type(shares, jnp.int32)

    def halve(_, bounds):
        low, high = bounds
        middle = low + (high - low + 1) // 2
        enough = jnp.sum(jnp.where(bits >= middle, shares, 0.0), axis=-1, keepdims=True) >= mass
        return jnp.where(enough, middle, low), jnp.where(enough, high, middle - 1)

    highest = jnp.max(bits, axis=-1, keepdims=True)  # 1.0 is below 2**30
    low, _ = jax.lax.fori_loop(0, 30, halve, (jnp.zeros_like(highest), highest))
    return bits >= low


def gumbel(keys: jax.Array, symbols: int) -> jax.Array:
    """Keys [...] -> float32 noise [..., V], each position's from its own key alone."""
    flat = jax.vmap(lambda key: jax.random.gumbel(key, (symbols,), jnp.float32, mode="high"))(keys.reshape(-1))
    return flat.reshape(*keys.shape, symbols)


def draw(logits: jax.Array, noise: jax.Array | None, rule: TokenRule) -> jax.Array:
    """Logits [..., V], Gumbel noise [..., V] (None at temperature 0) -> symbols int32 [...]."""
    logits = logits.astype(jnp.float32)
    if rule.temperature == 0:
        return jnp.argmax(logits, axis=-1).astype(jnp.int32)
    return jnp.argmax(truncate(logits / rule.temperature, rule) + noise, axis=-1).astype(jnp.int32)
