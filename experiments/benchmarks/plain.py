"""The named alternative: the same network and objective as one writes them down first in JAX.

Layers in a Python loop, one joint product for query, key and value, einsum attention, logits of every position over the whole
vocabulary, Optax's AdamW. Nothing is done badly on purpose, and nothing is tuned.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from mdm.diffusion import objective
from mdm.diffusion.corruption import CorruptionSettings, corrupt
from mdm.model.transformer import ModelSettings
from mdm.tokens.rows import Batch
from mdm.tokens.vocabulary import Vocabulary


def dense_cross_entropy(hidden, columns, target, ranges, weight, bounds):
    """(sum of weight * ce, ce) from the logits of all positions over all columns; those of other ranges are left out."""
    logits = jnp.einsum("...d,vd->...v", hidden, columns, preferred_element_type=jnp.float32)
    range_of_column = np.repeat(np.arange(len(bounds)), [stop - start for start, stop in bounds])
    own = jnp.where(ranges[..., None] == range_of_column, logits, -jnp.inf)
    own = jnp.where(ranges[..., None] < 0, 0.0, own)
    ce = jax.nn.logsumexp(own, axis=-1) - jnp.take_along_axis(own, target[..., None], axis=-1)[..., 0]
    ce = jnp.where(ranges < 0, 0.0, ce)
    return jnp.sum(weight * ce), ce


@dataclasses.dataclass(frozen=True)
class PlainDenoiser:
    """What `objective.loss` asks for."""

    settings: ModelSettings
    vocabulary: Vocabulary
    parameters: Any

    def hidden(self, ids, segments, positions, ranges):
        p, settings = self.parameters, self.settings
        k = settings.head_size
        angles = positions[..., 0, None] * settings.rope_base ** -(np.arange(k // 2, dtype=np.float32) * 2 / k)
        cos, sin = jnp.cos(angles)[:, :, None], jnp.sin(angles)[:, :, None]
        seen = (segments[:, :, None] == segments[:, None, :]) & (segments > 0)[:, None, :]
        x = p["embedding"][ids]
        for layer in p["layers"]:
            h = _norm(x, layer["attention_norm"])
            q, key, v = jnp.moveaxis(jnp.einsum("bld,dnhk->blnhk", h, layer["qkv"]), 2, 0)
            q, key = (_rotate(_norm(a, layer[name]), cos, sin) for a, name in ((q, "query_norm"), (key, "key_norm")))
            scores = jnp.einsum("blhk,bshk->bhls", q, key) * k**-0.5
            shares = jax.nn.softmax(jnp.where(seen[:, None], scores, -1e30), axis=-1)
            x = x + jnp.einsum("blhk,hkd->bld", jnp.einsum("bhls,bshk->blhk", shares, v), layer["out"])
            h = _norm(x, layer["mlp_norm"])
            x = x + (jax.nn.silu(h @ layer["gate"]) * (h @ layer["up"])) @ layer["down"]
        return _norm(x, p["final_norm"])

    def cross_entropy(self, hidden, target, ranges, weight, z_weight):
        bounds = tuple((r.start, r.stop) for r in self.vocabulary.ranges)
        return dense_cross_entropy(hidden, self.parameters["unembedding"], target, ranges, weight, bounds)


def initial_parameters(settings: ModelSettings, vocabulary: Vocabulary, seed: int) -> Any:
    """Nested dict; layers are a list."""
    d, h, k, f = settings.width, settings.heads, settings.head_size, settings.hidden_width
    shapes = {"qkv": (d, 3, h, k), "out": (h, k, d), "gate": (d, f), "up": (d, f), "down": (f, d)}
    gains = {"attention_norm": d, "mlp_norm": d, "query_norm": k, "key_norm": k}
    keys = iter(jax.random.split(jax.random.key(seed), 8 * settings.depth + 2))

    def layer():
        matrices = {name: jax.random.normal(next(keys), shape) * d**-0.5 for name, shape in shapes.items()}
        return matrices | {name: jnp.ones(size) for name, size in gains.items()}

    return {
        "embedding": jax.random.normal(next(keys), (vocabulary.size, d)),
        "layers": [layer() for _ in range(settings.depth)],
        "final_norm": jnp.ones(d),
        "unembedding": jnp.zeros((vocabulary.output_size, d)),
    }


def train_step(settings: ModelSettings, vocabulary: Vocabulary, corruption: CorruptionSettings):
    """(initial, step): () -> state, and (state, batch) -> (state, loss), to be jitted with the state donated."""
    tune = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(4e-3, 0.9, 0.95, weight_decay=0.1))
    weigh = objective.ObjectiveSettings()

    def initial():
        parameters = initial_parameters(settings, vocabulary, 0)
        return parameters, tune.init(parameters)

    def step(state, batch: Batch):
        parameters, tuned = state
        corrupted = corrupt(batch, corruption, 0, vocabulary.mask)

        def loss_of(parameters):
            denoiser = PlainDenoiser(settings, vocabulary, parameters)
            return objective.loss(denoiser, batch.rows, corrupted, vocabulary, weigh)[0]

        loss, gradient = jax.value_and_grad(loss_of)(parameters)
        updates, tuned = tune.update(gradient, tuned, parameters)
        return (optax.apply_updates(parameters, updates), tuned), loss

    return initial, step


def _norm(x, gain):
    return x * jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + 1e-6) * gain


def _rotate(x, cos, sin):
    a, b = jnp.split(x, 2, axis=-1)
    return jnp.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)
