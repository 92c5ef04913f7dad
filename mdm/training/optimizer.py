"""AdamW through Optax, with every tensor's learning rate, epsilon and weight decay from the parameterisation's table.

Letters: none; trees have the structure of the parameters.
"""

from __future__ import annotations

import dataclasses

import jax
import numpy as np
import optax

from mdm.model.network import Network, Parameters
from mdm.model.parameterization import tensor_scales
from mdm.problems import Problem
from mdm.training.batch_scaling import BatchScale, BatchScalingSettings

COSINE, STABLE, CONSTANT = "cosine", "stable-decay", "constant"
GAINS = ("norm", "qk_norm", "final_norm")  # begin at 1 and are not pulled to 0 (our choice)


@dataclasses.dataclass(frozen=True)
class OptimizerSettings:
    """AdamW at the base shape and, with `batch_scaling`, at the base batch and horizon; all horizons in tokens.

    schedule:      "cosine" to `final_factor`; "stable-decay": constant, then linear over the last `decay_share`; "constant"
    clip:          global gradient norm, 0 switches it off
    ema_half_life: tokens after which a parameter value weighs half in the average, 0 switches the average off
    """

    learning_rate: float = 4e-3
    beta1: float = 0.9
    beta2: float = 0.95
    epsilon: float = 1e-8
    weight_decay: float = 0.1
    clip: float = 1.0
    warmup_tokens: int = 0
    schedule: str = COSINE
    final_factor: float = 0.05
    decay_share: float = 0.2
    ema_half_life: int = 0
    batch_scaling: BatchScalingSettings = BatchScalingSettings()

    def problems(self, at: str) -> list[Problem]:
        found = []
        if self.schedule not in (COSINE, STABLE, CONSTANT):
            found.append(Problem(f"{at}.schedule", self.schedule, "unknown", f"use {COSINE}, {STABLE} or {CONSTANT}"))
        for key, least, most in (
            ("learning_rate", 0, 10),
            ("beta1", 0, 1),
            ("beta2", 0, 1),
            ("epsilon", 0, 1),
            ("weight_decay", 0, 100),
            ("clip", 0, float("inf")),
            ("final_factor", 0, 1),
            ("decay_share", 0, 1),
        ):
            value = getattr(self, key)
            if not least <= value <= most or (value == most and key.startswith("beta")):
                found.append(Problem(f"{at}.{key}", value, f"outside [{least}, {most}]", "see OptimizerSettings"))
        for key in ("warmup_tokens", "ema_half_life"):
            if getattr(self, key) < 0:
                found.append(Problem(f"{at}.{key}", getattr(self, key), "negative", "0 switches it off"))
        return found + self.batch_scaling.problems(f"{at}.batch_scaling")


def peak(settings: OptimizerSettings, scale: BatchScale) -> float:
    """The highest base learning rate."""
    return settings.learning_rate * scale.learning_rate


def schedule(settings: OptimizerSettings, horizon: int) -> optax.Schedule:
    """Share of the peak learning rate by tokens trained on, up to `horizon` tokens.

    By tokens, not by steps: the batch may change between two starts. The warm-up takes at most a quarter of the horizon, as
    in the paper's pilot. Evaluate it at the end of a step, so that the first update has a rate above zero.
    """
    # Floats: trillions of tokens are no int32.
    warmup = float(max(1, min(settings.warmup_tokens, horizon // 4)))
    rest = max(1.0, horizon - warmup)
    if settings.schedule == COSINE:
        after = optax.cosine_decay_schedule(1.0, rest, settings.final_factor)
    elif settings.schedule == STABLE:
        decay = max(1.0, rest * settings.decay_share)
        after = optax.join_schedules(
            [optax.constant_schedule(1.0), optax.linear_schedule(1.0, settings.final_factor, decay)], [rest - decay]
        )
    else:
        after = optax.constant_schedule(1.0)
    return optax.join_schedules([optax.linear_schedule(0.0, 1.0, warmup), after], [warmup])


def optimizer(settings: OptimizerSettings, network: Network, scale: BatchScale) -> optax.GradientTransformation:
    """Clipping, Adam and decoupled decay for `network`'s parameters: updates for a learning rate of 1, to be subtracted."""
    weight_decay = settings.weight_decay * scale.learning_rate
    model, roles = network.settings, network.annotations("role")
    own = jax.tree.map(
        lambda role, *rest: tensor_scales(model.parameterization, role, *rest, model.width, model.depth),
        roles,
        network.annotations("modules"),
        network.annotations("axes"),
    )
    decay = jax.tree.map(lambda role, own: 0.0 if role in GAINS else weight_decay * own.weight_decay, roles, own)
    factor = lambda field: jax.tree.map(lambda scale: getattr(scale, field), own)  # noqa: E731
    return optax.chain(
        optax.clip_by_global_norm(settings.clip) if settings.clip else optax.identity(),
        # Adam with epsilon * s on g equals Adam with epsilon on g / s: one scalar epsilon serves every tensor.
        _scale(jax.tree.map(lambda epsilon: 1 / epsilon, factor("epsilon"))),
        optax.scale_by_adam(
            scale.beta(settings.beta1), scale.beta(settings.beta2), settings.epsilon / scale.learning_rate
        ),
        _decay(decay),
        _scale(factor("learning_rate")),
    )


def _scale(factors: Parameters) -> optax.GradientTransformation:
    return optax.stateless(lambda updates, _: jax.tree.map(lambda u, factor: u * factor, updates, factors))


def _decay(factors: Parameters) -> optax.GradientTransformation:
    def add(updates, parameters):
        return jax.tree.map(lambda u, p, factor: u + factor * p if np.any(factor) else u, updates, parameters, factors)

    return optax.stateless(add)


def ema_decay(settings: OptimizerSettings, tokens_per_step: float) -> float:
    """What the running average keeps at each step; 0 without an average, which then equals the parameters."""
    return 0.5 ** (tokens_per_step / settings.ema_half_life) if settings.ema_half_life else 0.0
