"""How a neural codec is fitted: AdamW with a cosine, from batches that are a function of the step, continued bit for bit."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax

from mdm.codecs import layers, storage
from mdm.codecs.codec import Progress
from mdm.problems import Problem, Refusal

SAVE_SECONDS = 20.0
WARM_UP = 0.05  # share of the steps
MOST_BLOCKS = 24  # residual blocks of a stack; more would be a mistake
REPORTS = 50  # at most, over a fit


def fit(
    loss: Callable[[Any, Any], jax.Array],
    parameters: Any,
    batch: Callable[[int], Any],
    steps: int,
    learning_rate: float,
    progress: Progress,
    state: Path | None,
    identity: str,
) -> Any:
    """Parameters after `steps` steps of `loss(parameters, batch(step))`.

    Every SAVE_SECONDS the whole of it goes to the file `state`, from which a later call with the same arguments continues.
    identity: of the media and settings, so that no other fit does. Raises Refusal, naming `state`, if it is damaged or of
    another fit, and for a fit that diverged: its codes would be noise.
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
        first, everything = _restore(state, everything, identity)
    saved = time.monotonic()
    for number in range(first, steps):
        *everything, value = step(*everything, batch(number))
        if state is not None and time.monotonic() - saved > SAVE_SECONDS:
            _save(state, number + 1, everything, identity)
            saved = time.monotonic()
        if (number + 1) % max(1, steps // REPORTS) == 0 or number + 1 == steps:
            progress(number + 1, steps, {"loss": float(value)})
    try:
        layers.check_finite(layers.flatten(everything[0]))
    except ValueError as error:
        raise Refusal(Problem("fit of a codec", learning_rate, f"diverged ({error})", "lower learning_rate")) from error
    return everything[0]


def _save(path: Path, done: int, everything: Any, identity: str) -> None:
    leaves = {str(index): np.asarray(leaf) for index, leaf in enumerate(jax.tree.leaves(everything))}
    storage.save_arrays(path, {"done": np.int64(done), "identity": np.array(identity), **leaves})


def _restore(path: Path, like: Any, identity: str) -> tuple[int, Any]:
    found = storage.load_arrays(path)
    try:
        if found.pop("identity").item() != identity:
            raise ValueError("of other media or settings")
        done = int(found.pop("done"))
        return done, layers.fill(like, [found[str(index)] for index in range(len(found))])
    except (KeyError, ValueError, TypeError) as error:
        remedy = "delete it, and the fit begins anew"
        raise Refusal(Problem(str(path), None, f"is not the state of this fit ({error})", remedy)) from error
