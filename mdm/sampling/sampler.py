"""The sampler: a masked canvas in, a written canvas out, in one compiled loop.

Each step shows the canvas to the network, draws a symbol for every masked position of the block over the position's own
output range, lets an order choose which of them are committed, settles the ends of spans, and may mask again what it wrote.
An order that is blind to what is drawn chooses first, and only what it chose is drawn.
With kept keys and values the loop is one of periods: a pass over whole rows, then steps that look at a part of them.

All noise is keyed by the seed of the row and by what happened in it (block, step, changes so far, position), so a row's result
does not depend on its neighbours or on B (the network's own sums may round differently in another batch shape, in float32 by
about 1e-7 of a logit). As a row that has not changed draws the same again, its draws can be kept as well as made anew.

Letters: B rows, L positions.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from mdm.diffusion.denoiser import Denoiser
from mdm.problems import Problem, refuse_if
from mdm.sampling.blocks import NO_BLOCK, first_block, number_blocks
from mdm.sampling.canvas import Canvas, Layout, layout_of
from mdm.sampling.draws import draw_all, no_draws
from mdm.sampling.ends import find_ends
from mdm.sampling.grids import TRAINED
from mdm.sampling.guidance import both_branches, scale_of
from mdm.sampling.kept import look_again, part_of, part_sizes
from mdm.sampling.orders import ORDERS
from mdm.sampling.settings import SamplerSettings
from mdm.sampling.steps import Calls, Ground, State, choose, open_here, open_some, plan_steps, token_keys, write
from mdm.tokens.rows import Row
from mdm.tokens.vocabulary import Vocabulary


class Written(NamedTuple):
    """canvas: nothing is masked any more. calls: what it took.

    turns: int32 [B, L], at which change of its row, counted from 0, what stands at a position was written; -1 where it was
    given. With one position a step these are 0, 1, 2, ...; an END and what it closes have the same. Under remasking and
    correctors it is the last time that counts, and masking again is a change as well, so some numbers are nobody's.
    """

    canvas: Canvas
    calls: Calls
    turns: jax.Array


def sample(
    denoiser: Denoiser,
    canvas: Canvas,
    vocabulary: Vocabulary,
    settings: SamplerSettings,
    seeds: jax.Array,
    layout: Layout | None = None,
) -> Written:
    """Writes every masked position of `canvas`. A pure function; what is not masked never changes.

    denoiser: a `CachingDenoiser` if the settings name a cache
    seeds:    uint32 [B], one a row
    layout:   of the canvas (`layout_of`). Needed under `jit`, where it is static and the canvas is traced: one program
              then serves every canvas of the same shapes.

    Raises Refusal for settings that cannot be used.
    """
    refuse_if(_problems(settings))
    layout = layout_of(canvas, vocabulary) if layout is None else layout
    rows, own = jax.tree.map(jnp.asarray, canvas.rows), jnp.asarray(canvas.masked)
    ground = Ground(
        own=own,
        numbers=number_blocks(rows, settings.block),
        ends=find_ends(rows, vocabulary, layout.counts),
        keys=jax.vmap(lambda seed: jax.random.key(seed, impl="threefry2x32"))(jnp.asarray(seeds, jnp.uint32)),
        plan=plan_steps(settings),
        mask_id=vocabulary.mask,
    )
    network = _Network(denoiser, rows, vocabulary, settings, layout, ground)

    blind = ORDERS[settings.order].blind

    def turn(look: Callable, state: State) -> tuple[State, Any]:
        state, quota = open_some(ground, state, settings)
        choice = choose(ground, state, quota, settings) if blind else None
        state, kept = look(state, open_here(ground, state) if choice is None else choice.selected)
        choice = choose(ground, state, quota, settings) if choice is None else choice
        return write(ground, state, choice, settings), kept

    def step(look: Callable[[State, jax.Array], State], state: State) -> State:
        def look_if_due(state: State, wanted: jax.Array) -> tuple[State, None]:
            due = (jnp.any(wanted) if blind else state.stale) if settings.reuse else True
            return lax.cond(due, look, lambda state, _: state, state, wanted), None

        return turn(look_if_due, state)[0]

    def period(state: State) -> State:
        state, kept = turn(network.look_and_keep, state)

        def lasts(state: State) -> jax.Array:
            fresh = state.age % settings.refresh > 0 if settings.refresh else state.age > 0
            return fresh & (state.block < NO_BLOCK)

        return lax.while_loop(lasts, functools.partial(step, functools.partial(network.look_at_part, kept)), state)

    cached = settings.cache != "none" and settings.refresh != 1
    advance = period if cached else functools.partial(step, network.look)
    done = lax.while_loop(lambda state: state.block < NO_BLOCK, advance, _begin(rows, ground))
    return Written(Canvas(rows._replace(ids=done.ids), done.masked), done.calls, done.turns)


class _Network:
    """What a call of the network makes of a state: draws for the block at hand."""

    def __init__(self, denoiser, rows: Row, vocabulary: Vocabulary, settings: SamplerSettings, layout, ground: Ground):
        self._denoiser, self._rows, self._vocabulary, self._settings = denoiser, rows, vocabulary, settings
        self._ground = ground
        self._guided = settings.guidance != 1 and layout.conditional
        most = settings.block or rows.ids.shape[1]
        self._counts = tuple(min(count, most) for count in layout.counts)
        self._sizes = part_sizes(settings.cache, most, rows.ids.shape[1])

    def look(self, state: State, wanted: jax.Array) -> State:
        """With draws of the `wanted` positions (bool [B, L])."""
        shown = self._shown(state)
        hidden = self._denoiser.hidden(shown.ids, shown.segments, shown.positions, shown.ranges)
        return self._drawn(state, hidden, wanted, Calls(1, 0))

    def look_and_keep(self, state: State, wanted: jax.Array) -> tuple[State, Any]:
        shown = self._shown(state)
        hidden, kept = self._denoiser.hidden_and_cache(shown.ids, shown.segments, shown.positions, shown.ranges)
        return self._drawn(state, hidden, wanted, Calls(1, 0)), kept

    def look_at_part(self, kept: Any, state: State, wanted: jax.Array) -> State:
        part = part_of(self._settings.cache, self._ground.numbers, state.block, self._rows.segments)
        part = jnp.concatenate([part, part]) if self._guided else part
        hidden = look_again(self._denoiser, self._shown(state), part, self._sizes, kept)
        return self._drawn(state, hidden, wanted, Calls(0, 1))

    def _shown(self, state: State) -> Row:
        shown = self._rows._replace(ids=state.ids)
        return both_branches(shown, self._vocabulary.mask) if self._guided else shown

    def _drawn(self, state: State, hidden: jax.Array, wanted: jax.Array, calls: Calls) -> State:
        own, settings = self._ground.own, self._settings
        share = jnp.sum(state.masked, axis=1) / jnp.maximum(jnp.sum(own, axis=1), 1)
        draws = draw_all(
            self._denoiser,
            hidden,
            wanted,
            self._rows.ranges,
            self._counts,
            token_keys(self._ground, state),
            self._vocabulary,
            settings.rule,
            ORDERS[settings.order].measure,
            scale_of(settings.guidance_schedule, settings.guidance, share) if self._guided else None,
        )
        calls = jax.tree.map(jnp.add, state.calls, calls)
        return state._replace(draws=draws, stale=jnp.bool_(False), calls=calls)


def _begin(rows: Row, ground: Ground) -> State:
    zero = jnp.int32(0)
    return State(
        ids=rows.ids,
        masked=ground.own,
        log_prob=jnp.zeros(rows.ids.shape, jnp.float32),
        turns=jnp.full(rows.ids.shape, -1, jnp.int32),
        block=first_block(ground.numbers, ground.own),
        age=zero,
        changes=jnp.zeros(len(rows.ids), jnp.int32),
        stale=jnp.bool_(True),
        draws=no_draws(rows.ids.shape),
        calls=Calls(zero, zero),
    )


def _problems(settings: SamplerSettings) -> list[Problem]:
    found = settings.problems("sampler")
    if settings.grid == TRAINED:
        remedy = "name the schedule, or sample through TrainedModel"
        found.append(Problem("sampler.grid", TRAINED, "stands for a schedule that is not known here", remedy))
    return found
