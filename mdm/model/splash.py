"""The splash attention kernel of JAX for TPU, with segments.

Letters as in `attention`.
"""

from __future__ import annotations

import jax

LANES = 128  # rows are multiples of this
_LARGEST_BLOCK = 1024


def attend(query, key, value, query_segments, key_segments, *, interpret: bool = False) -> jax.Array:
    """As `attention.reference`; L and S are multiples of LANES. `interpret` runs the kernel without a TPU, for tests.

    Padding attends to padding here: its segment is like any other. Nobody else sees it.
    """
    # Imported here: Pallas takes a second, and only a TPU needs it.
    from jax.experimental.pallas.ops.tpu.splash_attention import (
        BlockSizes,
        FullMask,
        MultiHeadMask,
        SegmentIds,
        make_splash_mha,
    )

    length, every, heads = query.shape[1], key.shape[1], query.shape[2]
    q, kv = _block(length), _block(every)
    kernel = make_splash_mha(
        MultiHeadMask([FullMask((length, every))] * heads),
        block_sizes=BlockSizes(
            block_q=q, block_kv=kv, block_q_dkv=q, block_kv_dkv=kv, use_fused_bwd_kernel=True,
        ),
        head_shards=1,
        q_seq_shards=1,
        interpret=interpret,
    )  # fmt: skip

    def row(query, key, value, query_segments, key_segments):
        query, key, value = (x.swapaxes(0, 1) for x in (query, key, value))
        return kernel(query, key, value, SegmentIds(query_segments, key_segments)).swapaxes(0, 1)

    scale = query.shape[-1] ** -0.5
    return jax.vmap(row)(query * scale, key, value, query_segments, key_segments)


def _block(length: int) -> int:
    """The largest block that divides `length`: fewer, larger blocks keep the matrix unit busy."""
    return next(size for size in range(_LARGEST_BLOCK, 0, -LANES) if length % size == 0)
