"""Classifier-free guidance.

One convention, everywhere in this package:  logits = unguided + scale * (conditional - unguided).

Scale 1 is no guidance, 0 ignores the condition, above 1 sharpens it. Other texts write 1 + w for it (w = 0 is then no
guidance: LLaDA, Ho & Salimans 2022). The unguided branch is the same canvas with the whole condition content masked,
          which
training has shown to the network (`CorruptionSettings.condition_drop`; Nie et al. 2024 call it unsupervised guidance).

Letters: B rows, L positions.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from mdm.tokens.rows import CONDITION, Row


def both_branches(rows: Row, mask_id: int) -> Row:
    """A batch of 2B rows: the rows as they are, then the same with their conditions masked."""
    unguided = rows._replace(ids=jnp.where(rows.roles == CONDITION, mask_id, rows.ids))
    return jax.tree.map(lambda a, b: jnp.concatenate([a, b]), rows, unguided)


def guide(logits: jax.Array, scale: float | jax.Array) -> jax.Array:
    """Logits [2B, ...] of `both_branches` -> guided logits [B, ...]. To be applied before temperature and truncation."""
    conditional, unguided = jnp.split(logits, 2)
    return unguided + scale * (conditional - unguided)
