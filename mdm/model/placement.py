"""Where arrays lie, as the network sees it: logical axes, no mesh.

A placement turns logical axes into devices. The network says what an array's dims are (`constrain`), runs what a compiler
should not partition by itself on each device's own part (`local`), and inside of that names the axes it gathers over. On one
device all of it is nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import jax

Axes = tuple[str | None, ...]
"""Logical axis of each dim of an array; None for a dim that is never cut."""


class Placement(Protocol):
    def constrain(self, array: jax.Array, axes: Axes) -> jax.Array:
        """`array`, lying where its axes say."""
        ...

    def local(self, function: Callable[..., Any], inputs: Any, outputs: Any) -> Callable[..., Any]:
        """`function` over each device's part of its arguments. inputs, outputs: trees of `Axes`, one leaf an array."""
        ...

    def names(self, axis: str) -> tuple[str, ...]:
        """Of the collectives over a logical axis inside `local`; empty where it is not cut."""
        ...

    @property
    def all_names(self) -> tuple[str, ...]:
        """Of the collectives over every device."""
        ...


class OneDevice:
    """Everything lies in one place."""

    all_names: tuple[str, ...] = ()

    def constrain(self, array: jax.Array, axes: Axes) -> jax.Array:
        return array

    def local(self, function: Callable[..., Any], inputs: Any, outputs: Any) -> Callable[..., Any]:
        return function

    def names(self, axis: str) -> tuple[str, ...]:
        return ()


ONE_DEVICE = OneDevice()
