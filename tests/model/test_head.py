import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdm.model import head
from mdm.model.head import cross_entropy

N, D = 13, 5
BOUNDS = ((0, 4), (4, 9), (9, 10), (10, 17))
CHUNKS = (1, 3, 13, 50)


def dense(hidden, columns, target, ranges, weight, z_weight):
    """All logits, then a mask: the form that the head must not need."""
    logits = jnp.einsum("nd,vd->nv", hidden, columns, precision="highest").astype(jnp.float32)
    start, stop = (jnp.array([b[end] for b in BOUNDS])[ranges][:, None] for end in (0, 1))
    column = jnp.arange(BOUNDS[-1][1])
    lse = jax.nn.logsumexp(jnp.where((column >= start) & (column < stop), logits, -jnp.inf), axis=1)
    chosen = ranges >= 0
    ce = jnp.where(chosen, lse - logits[jnp.arange(len(target)), target], 0.0)
    return jnp.sum(jnp.where(chosen, weight, 0) * ce) + z_weight * jnp.sum(jnp.where(chosen, lse, 0.0) ** 2), ce


@functools.cache
def _compiled(chunk):
    def head(hidden, columns, *rest):
        if chunk is None:
            return dense(hidden, columns, *rest)
        return cross_entropy(hidden, columns, *rest, BOUNDS, chunk)

    def scaled(*arguments):  # a cotangent other than 1
        loss, nats = head(*arguments)
        return 3.0 * loss, (loss, nats)

    return jax.jit(jax.grad(scaled, argnums=(0, 1), has_aux=True))


def inputs(ranges, seed=0, dtype=jnp.float32):
    rng = np.random.default_rng(seed)
    ranges = np.asarray(ranges, np.int32)
    start, stop = np.array([BOUNDS[r] for r in ranges]).T
    target = np.where(ranges >= 0, rng.integers(start, stop), rng.integers(0, 60, N)).astype(
        np.int32
    )  # unchosen: any id
    return (
        jnp.asarray(rng.normal(size=(N, D)) * 2, dtype), jnp.asarray(rng.normal(size=(BOUNDS[-1][1], D)), dtype), target, ranges,
        rng.uniform(0.1, 5, N).astype(np.float32), np.float32(0.3),
    )  # fmt: skip


def assert_equal(found, expected, rtol=2e-5, atol=2e-5):
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(np.float32(a), np.float32(b), rtol=rtol, atol=atol), found, expected
    )


MIXES = {
    "all of one range": [1] * N,
    "none": [-1] * N,
    "one token": [-1] * 7 + [3] + [-1] * 5,
    "one token of the last place": [-1] * 12 + [0],
    "an empty range in the middle": [0, 3, 3, 0, -1, 1, 1, 3, 0, -1, 1, 3, 3],
    "only the range of one symbol": [2, -1, 2] + [-1] * 10,
    "every range": [3, 2, 1, 0, 0, 1, 2, 3, 3, 3, 1, 0, 2],
}


@pytest.mark.parametrize("chunk", CHUNKS)
@pytest.mark.parametrize("mix", MIXES)
def test_head_is_the_dense_form(mix, chunk):
    arguments = inputs(MIXES[mix])
    assert_equal(_compiled(chunk)(*arguments), _compiled(None)(*arguments))


@pytest.mark.parametrize("chunk", CHUNKS)
def test_head_is_the_dense_form_for_random_mixes(chunk):
    for seed in range(40):
        rng = np.random.default_rng(seed)
        share = rng.dirichlet(np.full(5, 0.4))
        arguments = inputs(rng.choice([-1, 0, 1, 2, 3], size=N, p=share), seed)
        assert_equal(_compiled(chunk)(*arguments), _compiled(None)(*arguments))


@pytest.mark.parametrize("panel", [1, 2, 3, 7])
def test_panels_of_columns_add_up_to_the_same_gradient(panel, monkeypatch):
    """With several chunks; ranges of 4, 5, 1 and 7 columns end inside a panel, at its end, or are smaller than one."""
    monkeypatch.setattr(head, "_PANEL", panel)
    arguments = inputs(MIXES["every range"])
    found = jax.jit(jax.grad(lambda h, c, *rest: cross_entropy(h, c, *rest, BOUNDS, 3)[0], (0, 1)))(*arguments)
    expected = jax.grad(lambda h, c, *rest: dense(h, c, *rest)[0], (0, 1))(*arguments)
    assert_equal(found, expected)


def test_what_is_not_chosen_gets_neither_loss_nor_gradient():
    (d_hidden, d_columns), (_, nats) = _compiled(3)(*inputs(MIXES["an empty range in the middle"]))
    chosen = np.array(MIXES["an empty range in the middle"]) >= 0
    assert not np.asarray(nats)[~chosen].any() and not np.asarray(d_hidden)[~chosen].any()
    assert (np.asarray(nats)[chosen] > 0).all() and np.asarray(d_hidden)[chosen].any(axis=1).all()
    assert not np.asarray(d_columns)[9:10].any() and np.asarray(d_columns)[10:].any(axis=1).all()


def test_z_loss_alone():
    *arguments, weight, z_weight = inputs(MIXES["every range"])
    zero = np.zeros_like(weight)
    assert_equal(_compiled(3)(*arguments, zero, z_weight), _compiled(None)(*arguments, zero, z_weight))
    (d_hidden, d_columns), (loss, _) = _compiled(3)(*arguments, zero, np.float32(0))
    assert loss == 0 and not np.asarray(d_hidden).any() and not np.asarray(d_columns).any()


def test_bfloat16_hidden_keeps_a_float32_loss():
    for mix in ("every range", "an empty range in the middle"):
        arguments = inputs(MIXES[mix], dtype=jnp.bfloat16)
        gradients, (loss, nats) = _compiled(3)(*arguments)
        assert loss.dtype == nats.dtype == jnp.float32 and all(g.dtype == jnp.bfloat16 for g in gradients)
        wide = [jnp.asarray(a, jnp.float32) if a.dtype == jnp.bfloat16 else a for a in arguments]
        exact, (exact_loss, exact_nats) = _compiled(None)(*wide)
        assert_equal((loss, nats), (exact_loss, exact_nats))
        # d_logits is rounded to 8 bits (2**-9 relative) before it meets the other factor, and each result once more.
        for g, e in zip(gradients, exact, strict=True):
            assert np.abs(np.float32(g) - e).max() < 2**-7 * np.abs(e).max()


def test_large_logits_stay_finite():
    hidden, columns, *rest = inputs(MIXES["every range"])
    gradients, (loss, nats) = _compiled(3)(hidden * 1e4, columns, *rest)
    assert all(np.isfinite(x).all() for x in (*gradients, loss, nats))


def test_no_array_of_positions_by_vocabulary_exists():
    n, width, bounds = 512, 4, ((0, 300), (300, 1000))
    shapes = (
        jax.ShapeDtypeStruct((n, width), jnp.float32), jax.ShapeDtypeStruct((1000, width), jnp.float32),
        *[jax.ShapeDtypeStruct((n,), t) for t in (jnp.int32, jnp.int32, jnp.float32)], jax.ShapeDtypeStruct((), jnp.float32),
    )  # fmt: skip
    run = jax.jit(jax.grad(lambda *a: cross_entropy(*a, bounds, 8)[0], argnums=(0, 1)))
    used = run.lower(*shapes).compile().memory_analysis()
    assert used.temp_size_in_bytes < 4 * n * 1000 / 8
