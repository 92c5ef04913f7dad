"""The sampler: a masked canvas in, a written canvas out, in one compiled loop.

Each step shows the canvas to the network, draws a symbol for every masked position over the position's own output
range, lets an order choose which of them are committed, and settles the ends of spans. The state of the loop is ids
and masks.

All noise is keyed by (seed of the row, step, position), so a row's result does not depend on its neighbours or on B
(the network's own sums may round differently in another batch shape: about 1e-7 of a logit).

Letters: B rows, L positions, C target positions of one range, D width, V symbols of a range.
"""

from __future__ import annotations

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from mdm.diffusion.denoiser import Denoiser
from mdm.problems import Problem, refuse_if
from mdm.sampling.canvas import Canvas, Layout, layout_of
from mdm.sampling.ends import closed, find_ends, settle
from mdm.sampling.grids import GRIDS, ratios
from mdm.sampling.guidance import both_branches, guide
from mdm.sampling.orders import ORDERS, Step
from mdm.sampling.tokens import TokenRule, draw, gumbel
from mdm.tokens.rows import TARGET, Row
from mdm.tokens.vocabulary import Vocabulary

_ORDER_KEY, _TOKEN_KEY = 0, 1  # what a row's key of one step is folded with


@dataclasses.dataclass(frozen=True)
class SamplerSettings:
    """How a canvas is written.

    order:       "ancestral", "random" or "confidence" (`orders`)
    grid:        "uniform" or "cosine": the masked share over the steps (`grids`)
    steps:       most network calls; the loop ends as soon as nothing is masked
    temperature, top_k, top_p, min_p: the token rule (`tokens.TokenRule`)
    guidance:    unguided + guidance * (conditional - unguided); 1 is no guidance and costs one branch, not two
    noise:       Gumbel noise on the confidence, times this and the share of steps to come; other orders ignore it
    """

    order: str = "ancestral"
    grid: str = "uniform"
    steps: int = 64
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    guidance: float = 1.0
    noise: float = 0.0

    @property
    def rule(self) -> TokenRule:
        return TokenRule(self.temperature, self.top_k, self.top_p, self.min_p)

    def problems(self, at: str) -> list[Problem]:
        found = []
        for key, legal in (("order", ORDERS), ("grid", GRIDS)):
            if getattr(self, key) not in legal:
                found.append(Problem(f"{at}.{key}", getattr(self, key), "unknown", f"use one of {tuple(legal)}"))
        for key, low in (("steps", 1), ("top_k", 0)):
            if getattr(self, key) < low or int(getattr(self, key)) != getattr(self, key):
                reason = f"is not a whole number >= {low}"
                found.append(Problem(f"{at}.{key}", getattr(self, key), reason, "see SamplerSettings"))
        # Below 1e-3 logits of ordinary size leave float32 when divided; 0 is what is meant.
        if self.temperature != 0 and not 1e-3 <= self.temperature <= 100:
            reason, remedy = "neither 0 nor in [0.001, 100]", "1 is the model's own, 0 takes the likeliest symbol"
            found.append(Problem(f"{at}.temperature", self.temperature, reason, remedy))
        if not 0 < self.top_p <= 1:
            found.append(Problem(f"{at}.top_p", self.top_p, "outside (0, 1]", "1 keeps every symbol"))
        if not 0 <= self.min_p <= 1:
            found.append(Problem(f"{at}.min_p", self.min_p, "outside [0, 1]", "0 keeps every symbol"))
        for key, usual in (("guidance", "1 is none, 2 to 6 is usual"), ("noise", "0 is none, 4.5 is usual")):
            if not 0 <= getattr(self, key) < math.inf:
                found.append(Problem(f"{at}.{key}", getattr(self, key), "is not a finite number >= 0", usual))
        return found


class _Gather(NamedTuple):
    """The target positions of one output range. place: int32 [B, C]; own: bool [B, C], False where a row has fewer
    than C.
    """

    number: int
    place: jax.Array
    own: jax.Array


class _Draws(NamedTuple):
    """For each target position, [B, L] each: an id with its log-probability, and the same with END ruled out."""

    tokens: jax.Array
    log_prob: jax.Array
    codes: jax.Array
    code_log_prob: jax.Array


def sample(
    denoiser: Denoiser,
    canvas: Canvas,
    vocabulary: Vocabulary,
    settings: SamplerSettings,
    seeds: jax.Array,
    layout: Layout | None = None,
) -> Canvas:
    """Writes every masked position of `canvas`. A pure function; what is not masked never changes.

    seeds:  uint32 [B], one a row
    layout: of the canvas (`layout_of`). Needed under `jit`, where it is static and the canvas is traced: one program
            then serves every canvas of the same shapes.

    Raises Refusal for settings that cannot be used.
    """
    refuse_if(settings.problems("sampler"))
    layout = layout_of(canvas, vocabulary) if layout is None else layout
    rows = jax.tree.map(jnp.asarray, canvas.rows)
    masked = jnp.asarray(canvas.masked)
    gathers = _gathers(rows, layout)
    ends = find_ends(rows, vocabulary)
    guided = settings.guidance != 1 and layout.conditional
    shares = ratios(settings.grid, settings.steps)
    keep = jnp.asarray(shares[1:] / shares[:-1], jnp.float32)
    left = jnp.asarray(1 - np.arange(1, settings.steps + 1) / settings.steps, jnp.float32)
    row_keys = jax.vmap(lambda seed: jax.random.key(seed, impl="threefry2x32"))(jnp.asarray(seeds, jnp.uint32))

    def unfinished(state):
        i, _, masked = state
        return (i < settings.steps) & jnp.any(masked)

    def advance(state):
        i, ids, masked = state
        keys = jax.vmap(lambda key: jax.random.fold_in(key, i))(row_keys)
        draws = _draw(denoiser, rows._replace(ids=ids), gathers, vocabulary, settings, guided, _fold(keys, _TOKEN_KEY))
        no_end = closed(ends, ids, masked)
        tokens = jnp.where(no_end, draws.codes, draws.tokens)
        log_prob = jnp.where(no_end, draws.code_log_prob, draws.log_prob)
        choice = ORDERS[settings.order](
            Step(masked, tokens, log_prob, keep[i], left[i], settings.noise, _fold(keys, _ORDER_KEY), ends)
        )
        return i + 1, *settle(ids, masked, choice.selected, choice.rank, tokens, draws.codes, ends)

    _, ids, masked = lax.while_loop(unfinished, advance, (jnp.int32(0), rows.ids, masked))
    return Canvas(rows._replace(ids=ids), masked)


def _gathers(rows: Row, layout: Layout) -> tuple[_Gather, ...]:
    """Where the targets of each range stand; ranges without any are left out."""
    gathers = []
    for number, count in enumerate(layout.counts):
        if count:
            own = (rows.roles == TARGET) & (rows.ranges == number)
            place = jnp.argsort(~own, axis=1, stable=True)[:, :count].astype(jnp.int32)
            gathers.append(_Gather(number, place, jnp.take_along_axis(own, place, axis=1)))
    return tuple(gathers)


def _draw(
    denoiser: Denoiser,
    rows: Row,
    gathers: tuple[_Gather, ...],
    vocabulary: Vocabulary,
    settings: SamplerSettings,
    guided: bool,
    keys: jax.Array,
) -> _Draws:
    """One network call, and a draw for every target position over its own range; the other positions hold zeros."""
    shown = both_branches(rows, vocabulary.mask) if guided else rows
    hidden = denoiser.hidden(shown.ids, shown.segments, shown.positions, shown.ranges)
    zero = jnp.zeros(rows.ids.shape, jnp.int32)
    draws = _Draws(zero, zero.astype(jnp.float32), zero, zero.astype(jnp.float32))
    for number, place, own in gathers:
        there = jnp.concatenate([place, place]) if guided else place
        logits = denoiser.logits(jnp.take_along_axis(hidden, there[..., None], axis=1), number).astype(jnp.float32)
        logits = guide(logits, settings.guidance) if guided else logits
        of_range = _draw_range(logits, _fold_each(keys, place), vocabulary, number, settings.rule)
        to = jnp.where(own, place, zero.shape[1])  # beyond the row: dropped
        put = jax.vmap(lambda whole, at, part: whole.at[at].set(part, mode="drop"))
        draws = jax.tree.map(lambda whole, part, to=to, put=put: put(whole, to, part), draws, of_range)
    return draws


def _draw_range(logits: jax.Array, keys: jax.Array, vocabulary: Vocabulary, number: int, rule: TokenRule) -> _Draws:
    """Logits [B, C, V] and keys [B, C] -> ids and log-probabilities [B, C]. Both draws share their noise."""
    own = vocabulary.ranges[number]
    noise = gumbel(keys, own.size) if rule.temperature > 0 else None
    tokens, log_prob = draw(logits, noise, rule)
    codes, code_log_prob = tokens, log_prob
    if own.has_end:
        codes, code_log_prob = draw(logits[..., :-1], None if noise is None else noise[..., :-1], rule)
    return _Draws(tokens + own.start, log_prob, codes + own.start, code_log_prob)


def _fold(keys: jax.Array, number: int) -> jax.Array:
    return jax.vmap(lambda key: jax.random.fold_in(key, number))(keys)


def _fold_each(keys: jax.Array, place: jax.Array) -> jax.Array:
    """Keys [B] and positions [B, C] -> keys [B, C]."""
    return jax.vmap(lambda key, at: jax.vmap(lambda one: jax.random.fold_in(key, one))(at))(keys, place)
