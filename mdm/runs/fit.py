"""Whether the arrays of a checkpoint are those that are asked for: names, shapes and dtypes, nothing of their contents."""

from __future__ import annotations

from typing import Any

import jax


def misfit(stored: Any, wanted: Any, *, dtypes: bool = True) -> str | None:
    """The first difference between two trees of what has a shape and a dtype, for a person; None if there is none.

    dtypes: whether they count; to read an array as another one is no loss of it
    A checkpoint holds named tuples as dicts and knows no empty places: names and numbers on the way to a leaf are compared.
    """
    own, others = _leaves(stored), _leaves(wanted)
    for name, leaf in others.items():
        if name not in own:
            return f"it does not hold {name}"
        if own[name][0] != leaf[0] or (dtypes and own[name] != leaf):
            return f"{name} is {_told(own[name])} where {_told(leaf)} is asked for"
    for name in own:
        if name not in others:
            return f"it holds {name} besides"
    return None


def _leaves(tree: Any) -> dict[str, tuple[tuple[int, ...], str]]:
    found = {}
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        found[name] = (tuple(leaf.shape), jax.numpy.dtype(leaf.dtype).name)
    return found


def _told(leaf: tuple[tuple[int, ...], str]) -> str:
    shape, dtype = leaf
    return f"{dtype} {list(shape)}"
