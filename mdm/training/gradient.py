"""Loss and gradient of a logical batch, in one piece or in several.

Letters: B rows of the logical batch, A parts.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from mdm.diffusion import objective
from mdm.diffusion.corruption import Corrupted
from mdm.diffusion.objective import ObjectiveSettings, Sums
from mdm.model.network import Network, Parameters
from mdm.tokens.rows import Row


def loss_and_gradient(
    network: Network,
    settings: ObjectiveSettings,
    parameters: Parameters,
    rows: Row,
    corrupted: Corrupted,
    micro_batches: int = 1,
) -> tuple[tuple[jax.Array, Sums], Parameters]:
    """((loss, sums), gradient) of B rows. micro_batches: A parts, one after the other; changes memory and nothing else."""
    # Of the whole batch, before it is cut: a part divided by its own count would weigh its tokens by the part it is in.
    maskable, masked = objective.maskable_count(rows), objective.masked_count(corrupted)

    def loss_of(parameters, rows, corrupted):
        denoiser = network.bind(parameters)
        return objective.loss(denoiser, rows, corrupted, network.vocabulary, settings, maskable, masked)

    of_part = jax.value_and_grad(loss_of, has_aux=True)
    if micro_batches == 1:
        return of_part(parameters, rows, corrupted)
    # Every part takes each A-th row, so on a mesh it is made of rows that lie where they are needed.
    parts = jax.tree.map(lambda x: x.reshape(-1, micro_batches, *x.shape[1:]).swapaxes(0, 1), (rows, corrupted))
    first = jax.tree.map(lambda x: x[0], parts)
    nothing = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(lambda: of_part(parameters, *first)))
    return lax.scan(lambda sum_, part: (jax.tree.map(jnp.add, sum_, of_part(parameters, *part)), None), nothing, parts)[
        0
    ]
