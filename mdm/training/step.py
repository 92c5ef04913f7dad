"""The train step: corrupt, loss and gradient, clip, update, average, metrics.

Letters: B rows of the logical batch, T tasks, M modalities.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from mdm.diffusion import adaptive, objective
from mdm.diffusion.adaptive import Learned
from mdm.diffusion.corruption import CorruptionSettings, corrupt
from mdm.diffusion.objective import ObjectiveSettings, Sums
from mdm.model.network import Network, Parameters
from mdm.tokens.rows import Batch
from mdm.tokens.tasks import TASK_NAMES
from mdm.training.gradient import loss_and_gradient


class Window(NamedTuple):
    """Sums since the last line of the log. Part of the state, so that a log resumed anywhere is the log of one run.

    loss: float32 [], summed over steps; norms: float32 by module, gradient norm summed over steps;
    tokens: float32 [], positions that are not padding; rows: float32 [streams], rows of each stream; steps, skipped: float32 []
    """

    loss: jax.Array
    sums: Sums
    norms: dict[str, jax.Array]
    tokens: jax.Array
    rows: jax.Array
    steps: jax.Array
    skipped: jax.Array


class State(NamedTuple):
    """All that a run is.

    rows: uint32 [2], (high, low) word of the run rows that were trained on, without those of skipped updates: the schedule's
          clock
    learned: losses by mask ratio so far, from which adaptive schedules draw
    ema: debiased running average of the parameters; ema_weight: 1 - decay**updates, what a plain average would sum to
    """

    rows: jax.Array
    parameters: Parameters
    optimizer: Any
    ema: Parameters
    ema_weight: jax.Array
    skipped_in_a_row: jax.Array
    learned: Learned
    window: Window


class Report(NamedTuple):
    """What the host reads of a step, one step late. skipped_in_a_row: updates that were not finite, up to this one."""

    loss: jax.Array
    skipped_in_a_row: jax.Array


class Numbers(NamedTuple):
    """What runs of one program may differ in. They are given to the program, not compiled in: another seed or learning rate (a
    trial of a study, a run that is continued) finds it compiled.

    seed: uint32; learning_rate: float32, of the schedule's peak; newest: float32, what the parameters of a step weigh in the
    running average once it is full
    """

    seed: np.uint32 | jax.Array
    learning_rate: np.float32 | jax.Array
    newest: np.float32 | jax.Array

    @classmethod
    def of(cls, seed: int, learning_rate: float, ema_decay: float) -> Numbers:
        return cls(np.uint32(seed % 2**32), np.float32(learning_rate), np.float32(1 - ema_decay))


@dataclasses.dataclass(frozen=True, eq=False)  # hashed by identity, as jit wants it
class Step:
    """The train step as a pure function of (state, batch): jit it with shardings and donate the state.

    schedule: tokens trained on -> share of the peak learning rate; numbers: for calls that give none
    micro_batches: parts in which gradients are taken one after the other; changes memory and nothing else
    """

    network: Network
    corruption: CorruptionSettings
    objective: ObjectiveSettings
    optimizer: optax.GradientTransformation
    schedule: optax.Schedule
    tokens_per_row: float
    numbers: Numbers
    streams: int
    micro_batches: int = 1

    def initial(self, numbers: Numbers | None = None) -> State:
        """The state before the first step."""
        parameters = self.network.initial_parameters(jax.random.key((numbers or self.numbers).seed))
        return State(
            rows=jnp.zeros(2, jnp.uint32),
            parameters=parameters,
            optimizer=self.optimizer.init(parameters),
            ema=jax.tree.map(jnp.copy, parameters),  # of its own: both are donated
            ema_weight=jnp.zeros(()),
            skipped_in_a_row=jnp.zeros((), jnp.int32),
            learned=adaptive.nothing(len(TASK_NAMES), objective.RATIO_BINS),
            window=self.empty_window(parameters),
        )

    def __call__(self, state: State, batch: Batch, numbers: Numbers | None = None) -> tuple[State, Report]:
        seed, peak, newest = numbers or self.numbers
        corrupted = corrupt(batch, self.corruption, seed, self.network.vocabulary.mask, state.learned)
        (loss, sums), gradient = loss_and_gradient(
            self.network, self.objective, state.parameters, batch.rows, corrupted, self.micro_batches
        )
        norms = _norms(gradient)
        updates, optimizer = self.optimizer.update(gradient, state.optimizer, state.parameters)
        rows = _count_on(state.rows, batch.number.shape[0])
        high, low = rows.astype(jnp.float32)
        rate = peak * self.schedule((high * 2.0**32 + low) * self.tokens_per_row)
        parameters = jax.tree.map(lambda p, u: p - rate * u, state.parameters, updates)
        weight = state.ema_weight * (1 - newest) + newest
        pull = newest / weight
        ema = jax.tree.map(lambda average, now: average + pull * (now - average), state.ema, parameters)

        finite = jnp.isfinite(loss) & jnp.isfinite(norms["all"])
        skipped = jnp.where(finite, 0, state.skipped_in_a_row + 1)
        learned = self._learn(state.learned, sums, batch.number.shape[0])
        updated = (rows, parameters, optimizer, ema, weight, learned)
        before = (state.rows, state.parameters, state.optimizer, state.ema, state.ema_weight, state.learned)
        updated = jax.tree.map(lambda new, old: jnp.where(finite, new, old), updated, before)
        window = self._add(state.window, batch, loss, sums, norms, finite)
        *updated, learned = updated
        return State(*updated, skipped, learned, window), Report(loss, skipped)

    def _learn(self, learned: Learned, sums: Sums, rows: int) -> Learned:
        keep = 0.5 ** (rows * self.tokens_per_row / self.corruption.adaptive_half_life)
        return adaptive.learn(learned, sums.bin_nats.sum(axis=1), sums.bin_masked.sum(axis=1), keep)

    def take_window(self, state: State) -> tuple[State, Window]:
        """The state with an empty window, and what the window held."""
        return state._replace(window=jax.tree.map(jnp.zeros_like, state.window)), state.window

    def empty_window(self, parameters: Parameters) -> Window:
        """Of a log without a line."""
        zero = jnp.zeros(())
        sums = objective.empty_sums()
        norms = {name: zero for name in jax.eval_shape(_norms, parameters)}
        return Window(zero, sums, norms, zero, jnp.zeros(self.streams), zero, zero)

    def _add(self, window: Window, batch: Batch, loss, sums: Sums, norms, finite) -> Window:
        one = jnp.ones(())
        own = Window(
            loss,
            sums,
            norms,
            tokens=jnp.sum(batch.rows.segments > 0).astype(jnp.float32),
            rows=jnp.sum(jax.nn.one_hot(batch.stream, self.streams), axis=0),
            steps=one,
            skipped=one - finite,
        )
        # A step that was not finite is counted and adds nothing else: one of them must not spoil the line it falls in.
        own = jax.tree.map(lambda value: jnp.where(finite, value, jnp.zeros_like(value)), own)
        own = own._replace(skipped=one - finite)
        return jax.tree.map(jnp.add, window, own)


def _count_on(words: jax.Array, more: int) -> jax.Array:
    """uint32 [2], (high, low) word of a count, with `more` added."""
    low = words[1] + jnp.uint32(more)
    return jnp.stack([words[0] + (low < words[1]).astype(jnp.uint32), low])


def _norms(gradient: Parameters) -> dict[str, jax.Array]:
    """Norm of the gradient, whole and by module; stacked layers count as one module."""
    modules = {name: tree for name, tree in gradient.items() if name != "blocks"}
    modules |= {f"blocks.{name}": tree for name, tree in gradient["blocks"].items()}
    return {"all": optax.global_norm(gradient)} | {name: optax.global_norm(tree) for name, tree in modules.items()}
