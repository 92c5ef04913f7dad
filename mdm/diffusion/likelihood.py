"""The negative ELBO of documents, by masks of fixed count: exact in expectation, with no smallest ratio left out.

Letters: B documents (one a row), L positions, M modalities.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from mdm.diffusion.corruption import corrupt_fixed_count
from mdm.diffusion.denoiser import Denoiser
from mdm.diffusion.objective import modality_of
from mdm.tokens.rows import Row
from mdm.tokens.vocabulary import MODALITIES, NO_RANGE, Vocabulary


def elbo_sample(
    denoiser: Denoiser,
    rows: Row,
    number: jax.Array,
    seed: int | jax.Array,
    sample: int | jax.Array,
    samples: int,
    vocabulary: Vocabulary,
) -> jax.Array:
    """float32 [B, M]: one stratified draw of every document's negative ELBO in nats, split by the modality of its targets.

    `rows` hold one document each; `number` uint32 [B, 2] keys its noise. The mean over sample = 0..samples-1, and over seeds,
    is the any-order average of -log p.
    """
    corrupted = corrupt_fixed_count(rows, number, seed, sample, samples, vocabulary.mask)
    hidden = denoiser.hidden(corrupted.ids, rows.segments, rows.positions, rows.ranges)
    chosen = jnp.where(corrupted.masked, rows.ranges, NO_RANGE).astype(jnp.int32)
    one, no_z_loss = jnp.ones(chosen.shape, jnp.float32), jnp.float32(0)
    _, nats = denoiser.cross_entropy(hidden, rows.ids, chosen, one, no_z_loss)
    weighted = corrupted.weights * nats
    own = jax.nn.one_hot(modality_of(rows, vocabulary), len(MODALITIES), dtype=jnp.float32)
    return jnp.einsum("bl,blm->bm", weighted, own, precision=jax.lax.Precision.HIGHEST)
