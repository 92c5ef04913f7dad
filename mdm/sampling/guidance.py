"""Classifier-free guidance.

One convention, everywhere in this package:  logits = unguided + scale * (conditional - unguided).

Scale 1 is no guidance, 0 ignores the condition, above 1 sharpens it. Other texts write 1 + w for it (w = 0 is then no
guidance: LLaDA, Ho & Salimans 2022). The unguided branch is the same canvas with the whole condition content
masked, which training has shown to the network (`CorruptionSettings.condition_drop`; Nie et al. 2024 call it unsupervised
guidance).

Letters: B rows, L positions.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from mdm.problems import Problem, Refusal
from mdm.tokens.rows import CONDITION, Row

NAMES = "constant, linear, interval-<low>-<high> with 0 <= low < high <= 1"


def parse_schedule(name: str, where: str = "guidance_schedule") -> Callable[[jax.Array], jax.Array]:
    """How much of the guidance is in force (0 none, 1 all) as a function of the share of a row that is masked.

        constant               all of it
        linear                 from none where everything is masked to all of it where nothing is (Muse; Chang et al. 2023)
        interval-<low>-<high>  all of it while the share lies between the two, none outside (Kynkaanniemi et al. 2024)

    Raises Refusal for any other name.
    """
    kind, *bounds = name.split("-")
    try:
        numbers = tuple(float(bound) for bound in bounds)
        if kind == "interval":
            low, high = numbers
            if not 0 <= low < high <= 1:
                raise ValueError
            return lambda masked: ((masked >= low) & (masked <= high)).astype(jnp.float32)
        if numbers:
            raise ValueError
        return {"constant": jnp.ones_like, "linear": lambda masked: 1 - masked}[kind]
    except (KeyError, ValueError):
        raise Refusal(Problem(where, name, "is not a schedule of guidance", f"use one of: {NAMES}")) from None


def scale_of(schedule: str, most: float, masked: jax.Array) -> jax.Array:
    """The scale of each row [B], of which the share `masked` float32 [B] is still to be written: 1 where no guidance is in
    force, `most` where all of it is."""
    return 1 + parse_schedule(schedule)(masked) * (most - 1)


def both_branches(rows: Row, mask_id: int) -> Row:
    """A batch of 2B rows: the rows as they are, then the same with their conditions masked."""
    unguided = rows._replace(ids=jnp.where(rows.roles == CONDITION, mask_id, rows.ids))
    return jax.tree.map(lambda a, b: jnp.concatenate([a, b]), rows, unguided)


def guide(logits: jax.Array, scale: float | jax.Array) -> jax.Array:
    """Logits [2B, ...] of `both_branches`, scale of each row [B] or of all -> guided logits [B, ...]. To be applied before
    temperature and truncation."""
    conditional, unguided = jnp.split(logits, 2)
    scale = jnp.reshape(scale, (-1, *(1,) * (logits.ndim - 1)))
    return unguided + scale * (conditional - unguided)
