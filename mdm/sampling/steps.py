"""A step on the canvas, but for the network: what is opened before a call, and what is written after it.

Letters: B rows, L positions, T steps of a block.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mdm.sampling.blocks import first_block
from mdm.sampling.draws import Draws
from mdm.sampling.ends import Ends, closed, settle
from mdm.sampling.grids import ratios
from mdm.sampling.orders import ORDERS, Choice, Step
from mdm.sampling.remasking import CONF, NONE, by_confidence, kept, may_reopen, parse_remask, reopen, sigmas
from mdm.sampling.settings import SamplerSettings

_PURPOSES = _ORDER_KEY, _REMASK_KEY, _CORRECTOR_KEY = range(3)  # of a row's noise in a step, besides its draws


class Plan(NamedTuple):
    """The steps of a block, float32 [T] each. keep: share of the masked positions that stays masked. after: share of all that is
    masked behind it, what is masked again included. left: share of the steps still to come. sigma: probability of being masked
    again. share: what a corrector opens first; 0 at any other step."""

    keep: jax.Array
    after: jax.Array
    left: jax.Array
    sigma: jax.Array
    share: jax.Array


class Ground(NamedTuple):
    """What stays as it is. own: bool [B, L], what the sampler writes. numbers: int32 [B, L], blocks. keys: [B], one a row."""

    own: jax.Array
    numbers: jax.Array
    ends: Ends
    keys: jax.Array
    plan: Plan
    mask_id: int


class Calls(NamedTuple):
    """Network calls for a whole batch, int32: over whole rows, and over the part of them that a cache leaves. Guidance doubles
    the rows of a call, not the calls."""

    whole: jax.Array
    part: jax.Array


class State(NamedTuple):
    """ids: int32 [B, L]. masked: bool [B, L]. log_prob: float32 [B, L], of what was written when it was. turns: int32 [B, L], as
    in `sampler.Written`. block: int32, the one being written. age: int32, steps taken in it. changes: int32 [B], how often a
    row has changed. stale: bool, whether any row has since the draws. draws: the last ones."""

    ids: jax.Array
    masked: jax.Array
    log_prob: jax.Array
    turns: jax.Array
    block: jax.Array
    age: jax.Array
    changes: jax.Array
    stale: jax.Array
    draws: Draws
    calls: Calls


class Quota(NamedTuple):
    """keep: float32 [B], share of the masked positions that stays masked. any: bool [B], whether anything is to be written."""

    keep: jax.Array
    any: jax.Array


def plan_steps(settings: SamplerSettings) -> Plan:
    """Of an order without a grid, one entry that stands for all."""
    if not ORDERS[settings.order].on_grid:
        return Plan(*(jnp.zeros(1, jnp.float32) for _ in Plan._fields))
    shares = ratios(settings.grid, settings.steps)
    sigma = sigmas(settings.remask, settings.eta, shares)
    left = 1 - np.arange(1, settings.steps + 1) / settings.steps
    columns = [kept(shares, sigma), shares[1:], left, sigma, np.zeros_like(sigma)]
    if settings.corrector:  # behind every step but the last
        none = np.zeros_like(left)
        behind = [none, none, left, none, np.full_like(left, settings.corrector)]
        columns = [np.stack(pair, axis=1).reshape(-1)[:-1] for pair in zip(columns, behind, strict=True)]
    return Plan(*(jnp.asarray(column, jnp.float32) for column in columns))


def token_keys(ground: Ground, state: State) -> jax.Array:
    """Keys [B] of the draws: a row that has not changed is to draw the same again."""
    return _fold(_fold(ground.keys, -1), state.changes)  # -1: unlike any block


def open_some(ground: Ground, state: State, settings: SamplerSettings) -> tuple[State, Quota]:
    """How much a step is to write; and a corrector's first half: some of what is written is masked, and as much is to be written
    again."""
    here = ground.numbers == state.block
    masked = jnp.sum(state.masked & here, axis=1)
    written = may_reopen(ground.own & here, state.ids, state.masked, ground.ends)
    if settings.remask != NONE and ORDERS[settings.order].exact:
        quota = _quota(ground, state, masked, jnp.sum(written, axis=1))
    else:
        keep = jnp.broadcast_to(ground.plan.keep[_at(ground, state)], state.changes.shape)
        quota = Quota(keep, jnp.ones(keep.shape, bool))
    if not settings.corrector:
        return state, quota
    share = ground.plan.share[_at(ground, state)]
    opened = reopen(written, share, _step_keys(ground, state, _CORRECTOR_KEY))
    count = jnp.sum(opened, axis=1)
    keep = jnp.where(share > 0, masked / jnp.maximum(masked + count, 1), quota.keep)
    ids = jnp.where(opened, ground.mask_id, state.ids)
    any_ = jnp.where(share > 0, count > 0, quota.any)
    return _changed(state, ids, state.masked | opened), Quota(keep, any_)


def _quota(ground: Ground, state: State, masked: jax.Array, written: jax.Array) -> Quota:
    """That of an order which keeps exact counts while written positions are masked again: behind the step as many are to be
    masked as the grid says, of which the step itself is expected to mask sigma of what is written.

    masked, written: int32 [B], of the block at hand; what an END has closed is neither. A share of what is masked now would be
    rounded anew at every step: with more steps than positions, one a step or none, whatever the grid says.
    """
    at = _at(ground, state)
    left = ground.plan.after[at] * (masked + written) - ground.plan.sigma[at] * written
    left = jnp.clip(jnp.round(left).astype(jnp.int32), 0, masked)
    return Quota(left / jnp.maximum(masked, 1), masked > left)


def choose(ground: Ground, state: State, quota: Quota, settings: SamplerSettings) -> Choice:
    """What the order chooses: of the draws, or, if it is blind to them, of what is masked."""
    tokens, _, certainty = _legal(ground, state)
    return ORDERS[settings.order].choose(
        Step(
            masked=open_here(ground, state) & quota.any[:, None], tokens=tokens, certainty=certainty, keep=quota.keep,
            left=ground.plan.left[_at(ground, state)], noise=settings.noise, threshold=settings.threshold,
            entropy_bound=settings.entropy_bound, keys=_step_keys(ground, state, _ORDER_KEY), ends=ground.ends,
        )
    )  # fmt: skip


def open_here(ground: Ground, state: State) -> jax.Array:
    """bool [B, L]: what is masked of the block at hand."""
    return state.masked & (ground.numbers == state.block)


def write(ground: Ground, state: State, choice: Choice, settings: SamplerSettings) -> State:
    """Commits the draws of what was chosen, settles the ends, masks some again, and goes on to the next block if this one is
    done."""
    draws, ends = state.draws, ground.ends
    here = ground.numbers == state.block
    at = _at(ground, state)
    tokens, log_prob, _ = _legal(ground, state)
    ids, masked = settle(state.ids, state.masked, choice.selected, choice.rank, tokens, draws.codes, ends)
    # Counted by the row's own changes, which its neighbours have no part in.
    turns = jnp.where(state.masked & ~masked, state.changes[:, None], state.turns)
    if settings.remask != NONE:
        drawn = jnp.where(ids == tokens, log_prob, draws.code_log_prob)
        # An END that another one wrote is as sure as can be.
        log_prob = jnp.where(choice.selected, drawn, jnp.where(state.masked, 0.0, state.log_prob))
        written = may_reopen(ground.own & here & ~state.masked, ids, masked, ends)
        weight = by_confidence(written, log_prob) if parse_remask(settings.remask).law == CONF else 1.0
        opened = reopen(written, ground.plan.sigma[at] * weight, _step_keys(ground, state, _REMASK_KEY))
        ids, masked = jnp.where(opened, ground.mask_id, ids), masked | opened
        state = state._replace(log_prob=log_prob)
    state = _changed(state._replace(turns=turns), ids, masked)
    if settings.rewrites:
        # Every block of its own is walked, written or not: an end that was written again may have moved into the next one.
        over, next_block = state.age + 1 >= len(ground.plan.keep), first_block(ground.numbers, ground.own, state.block)
    else:
        over, next_block = ~jnp.any(masked & here), first_block(ground.numbers, masked)
    block = jnp.where(over, next_block, state.block)
    # A new block has no draws yet, even if nothing has changed.
    return state._replace(block=block, age=jnp.where(over, 0, state.age + 1), stale=state.stale | over)


def _legal(ground: Ground, state: State) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Tokens, log-probabilities and certainties [B, L] of the draws, without END where none may stand."""
    draws, no_end = state.draws, closed(ground.ends, state.ids, state.masked)
    return tuple(jnp.where(no_end, code, drawn) for drawn, code in zip(draws[:3], draws[3:], strict=True))


def _changed(state: State, ids: jax.Array, masked: jax.Array) -> State:
    rows = jnp.any(ids != state.ids, axis=1)
    return state._replace(ids=ids, masked=masked, changes=state.changes + rows, stale=state.stale | jnp.any(rows))


def _at(ground: Ground, state: State) -> jax.Array:
    return jnp.minimum(state.age, len(ground.plan.keep) - 1)


def _step_keys(ground: Ground, state: State, purpose: int) -> jax.Array:
    return _fold(_fold(ground.keys, len(_PURPOSES) * state.block + purpose), state.age)


def _fold(keys: jax.Array, numbers: int | jax.Array) -> jax.Array:
    """Keys [B] folded with a number each, or one for all."""
    return jax.vmap(jax.random.fold_in)(keys, jnp.broadcast_to(numbers, keys.shape))
