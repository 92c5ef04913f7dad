"""How a neural codec is fitted: AdamW with a cosine, from batches that are a function of the step, continued bit for bit."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax

from mdm.codecs import storage
from mdm.codecs.codec import Progress

SAVE_SECONDS = 20.0
WARM_UP = 0.05  # share of the steps
REPORTS = 50  # at most, over a fit


def fit(
    loss: Callable[[Any, Any], jax.Array],
    parameters: Any,
    batch: Callable[[int], Any],
    steps: int,
    learning_rate: float,
    progress: Progress,
    state: Path | None,
) -> Any:
    """Parameters after `steps` steps of `loss(parameters, batch(step))`.

    Every SAVE_SECONDS the whole of it goes to the file `state`, from which a later call with the same arguments continues.
    """
    warm_up = max(1, round(WARM_UP * steps))
    schedule = optax.warmup_cosine_decay_schedule(0.0, learning_rate, warm_up, max(steps, warm_up + 1))
    tool = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule, b2=0.99, weight_decay=1e-4))

    @jax.jit
    def step(parameters, own, part):
        value, gradient = jax.value_and_grad(loss)(parameters, part)
        updates, own = tool.update(gradient, own, parameters)
        return optax.apply_updates(parameters, updates), own, value

    everything = (parameters, tool.init(parameters))
    first = 0
    if state is not None and state.exists():
        first, everything = _restore(state, everything)
    saved = time.monotonic()
    for number in range(first, steps):
        *everything, value = step(*everything, batch(number))
        if state is not None and time.monotonic() - saved > SAVE_SECONDS:
            _save(state, number + 1, everything)
            saved = time.monotonic()
        if (number + 1) % max(1, steps // REPORTS) == 0 or number + 1 == steps:
            progress(number + 1, steps, {"loss": float(value)})
    return everything[0]


def _save(path: Path, done: int, everything: Any) -> None:
    leaves = {str(index): np.asarray(leaf) for index, leaf in enumerate(jax.tree.leaves(everything))}
    storage.save_arrays(path, {"done": np.int64(done), **leaves})


def _restore(path: Path, like: Any) -> tuple[int, Any]:
    found = storage.load_arrays(path)
    leaves, structure = jax.tree.flatten(like)
    return int(found["done"]), jax.tree.unflatten(structure, [found[str(index)] for index in range(len(leaves))])
