"""How the mathematics meets the network: three functions, two more where keys and values are kept, no framework."""

from __future__ import annotations

from typing import Any, Protocol

import jax


class Denoiser(Protocol):
    """A network with its parameters bound. B rows, L positions, D width, V size of a range."""

    def hidden(self, ids: jax.Array, segments: jax.Array, positions: jax.Array, ranges: jax.Array) -> jax.Array:
        """int32 [B, L], int32 [B, L], int32 [B, L, 3], int8 [B, L] -> hidden states [B, L, D]."""
        ...

    def cross_entropy(
        self, hidden: jax.Array, target: jax.Array, ranges: jax.Array, weight: jax.Array, z_weight: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Weighted loss over chosen positions, and the cross-entropy of each.

        hidden [B, L, D], target int32 [B, L], ranges int32 [B, L] (NO_RANGE: not chosen, costs nothing), weight float32 [B, L],
        z_weight float32 scalar -> (sum of weight * ce + z_weight * sum of lse**2: scalar, ce float32 [B, L] in nats without
        gradient, 0 where not chosen). The normaliser of both runs over the position's own range only.
        """
        ...

    def logits(self, hidden: jax.Array, number: int) -> jax.Array:
        """Hidden states [..., D] -> float32 logits [..., V] over output range `number`."""
        ...


class CachingDenoiser(Denoiser, Protocol):
    """A denoiser that can look again at a part of a row alone. S positions of the part; a cache is a tree of arrays that only
    the denoiser reads."""

    def hidden_and_cache(
        self, ids: jax.Array, segments: jax.Array, positions: jax.Array, ranges: jax.Array
    ) -> tuple[jax.Array, Any]:
        """As `hidden`, with the keys and values that every layer made of the rows."""
        ...

    def hidden_of_part(
        self, ids: jax.Array, segments: jax.Array, positions: jax.Array, ranges: jax.Array, place: jax.Array, cache: Any
    ) -> jax.Array:
        """int32 [B, S], int32 [B, S], int32 [B, S, 3], int8 [B, S], int32 [B, S] -> hidden states [B, S, D] of the positions at
        `place`: they see each other as they are now, and the rest of their row as it was when the cache was made. A place
        beyond the row is nothing, and is to have segment 0."""
        ...
