"""Positions dealt over chips, so that the output head is equal work for each.

A row of text costs the head many times what a row of audio costs, and a chip that drew the text rows would be waited for. So
every chip sorts its positions by output range and deals them like cards: the i-th goes to chip i + c modulo S, with c the
dealer's own number, so that the remainders spread as well. Each chip then holds its share of each range, to within one
position a dealer. Shapes are static and nothing can overflow: all positions travel, chosen or not (32 MB a chip for 2 rows of
3,072 at width 2,560 in bfloat16, beside 600 MB of gathered columns).

Positions are dealt over the chips that hold other positions (`exchanged`, an all-to-all). Chips that hold the same ones
(`copied`: tensor parallelism) take every T-th of what arrives, so the head needs no other tensor-parallel form: no columns
are cut, whatever the sizes of the ranges.

Runs inside `Placement.local`. Letters: N positions of a chip, S chips of an exchange, T copies, M = N / T rounded up.
"""

from __future__ import annotations

import dataclasses
import math

import jax
import jax.numpy as jnp
from jax import lax


@dataclasses.dataclass(frozen=True)
class Dealing:
    """exchanged, copied: names of mesh axes; order: int32 [S, P], the own positions in the order they are dealt, by chip
    they go to; a position of N or more is nothing."""

    exchanged: tuple[str, ...]
    copied: tuple[str, ...]
    order: jax.Array
    count: int

    @classmethod
    def by(cls, group: jax.Array, exchanged: tuple[str, ...], copied: tuple[str, ...]) -> Dealing:
        """Deals positions of each value of `group` int32 [N] evenly."""
        chips, copies = _size(exchanged), _size(copied)
        n = group.size
        order = jnp.argsort(group, stable=True).astype(jnp.int32)
        order = jnp.pad(order, (0, -n % (chips * copies)), constant_values=n).reshape(-1, chips)
        own = lax.axis_index(exchanged) if exchanged else 0
        return cls(exchanged, copied, jnp.roll(order, own, axis=1).T, n)

    def deal(self, values: jax.Array, empty) -> jax.Array:
        """[N, ...] -> [M, ...], what this chip works on; places without a position hold `empty`."""
        sent = jnp.pad(values, ((0, 1), *((0, 0),) * (values.ndim - 1)), constant_values=empty)[self.order]
        arrived = self._exchange(sent)
        flat = arrived.reshape(-1, *values.shape[1:])
        copies = _size(self.copied)
        if copies == 1:
            return flat
        return flat.reshape(-1, copies, *values.shape[1:])[:, lax.axis_index(self.copied)]

    def collect(self, values: jax.Array) -> jax.Array:
        """[M, ...] -> [N, ...]: what was worked out, where it came from."""
        rest = values.shape[1:]
        if self.copied:
            values = lax.all_gather(values, self.copied, axis=1).reshape(-1, *rest)
        back = self._exchange(values.reshape(*self.order.shape, *rest))
        found = jnp.zeros((self.count + 1, *rest), values.dtype)
        return found.at[self.order.reshape(-1)].set(back.reshape(-1, *rest))[: self.count]

    def _exchange(self, values: jax.Array) -> jax.Array:
        """[S, P, ...] -> [S, P, ...], part s of the result from chip s."""
        if not self.exchanged:
            return values
        return lax.all_to_all(values, self.exchanged, split_axis=0, concat_axis=0, tiled=True)


def _size(names: tuple[str, ...]) -> int:
    return math.prod(lax.axis_size(name) for name in names)
