import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdm.model.network import Network
from mdm.model.parameterization import ParameterizationSettings
from mdm.model.transformer import ModelSettings, _entries, rms_norm
from mdm.tokens.rows import Row, Segment, build_row, stack
from mdm.tokens.tasks import TASKS
from mdm.tokens.vocabulary import NO_RANGE, Vocabulary

VOCABULARY = Vocabulary.of({"text": (20,), "image": (30,), "audio": (5, 6)})
SETTINGS = ModelSettings(
    width=16, depth=3, head_size=8, hidden=24, unembedding_std=1.0, head_chunk=8, parameterization=ParameterizationSettings(8, 2)
)  # fmt: skip
LENGTH = 40


def network(**changes) -> Network:
    return Network(dataclasses.replace(SETTINGS, **changes), VOCABULARY)


@functools.cache
def parameters():
    """Gains moved off 1, so that none could be left out unseen."""
    rng = np.random.default_rng(0)
    return jax.tree.map(
        lambda x: x * rng.uniform(0.5, 1.5, x.shape).astype(np.float32), network().initial_parameters(0)
    )


@functools.cache
def _hidden(**changes):
    return jax.jit(lambda p, row: network(**changes).bind(p).hidden(row.ids, row.segments, row.positions, row.ranges))


def hidden(row: Row) -> np.ndarray:
    """One row -> [L, D]."""
    return np.asarray(_hidden()(parameters(), stack([row]))[0])


@st.composite
def segments(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    document = {
        "text": rng.integers(0, 20, rng.integers(0, 4)), "image": rng.integers(0, 30, (rng.integers(1, 3), 2)),
        "audio": np.stack([rng.integers(0, 5, 2), rng.integers(0, 6, 2)], axis=1),
    }  # fmt: skip
    return Segment(document, TASKS[draw(st.sampled_from(list(TASKS)))], {"text": 1, "audio": draw(st.integers(0, 2))})


packings = st.lists(segments(), min_size=2, max_size=3)


@settings(max_examples=20)
@given(packings, st.data())
def test_no_segment_sees_another(packing, data):
    row = build_row(packing, VOCABULARY, LENGTH)
    before = hidden(row)
    changed = row.segments == data.draw(st.integers(1, len(packing)))
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    other = row._replace(
        ids=np.where(changed, rng.integers(0, VOCABULARY.size, LENGTH), row.ids).astype(np.int32),
        positions=np.where(changed[:, None], rng.integers(0, 50, (LENGTH, 3)), row.positions).astype(np.int32),
        ranges=np.where(changed, rng.integers(-1, 4, LENGTH), row.ranges).astype(np.int8),
    )
    after = hidden(other)
    rest = ~changed & (row.segments > 0)
    np.testing.assert_array_equal(after[rest], before[rest])
    assert np.abs(after[changed] - before[changed]).max() > 1e-3


@settings(max_examples=10)
@given(packings, st.integers(0, 1000))
def test_padding_changes_nothing(packing, seed):
    row = build_row(packing, VOCABULARY, LENGTH)
    rng = np.random.default_rng(seed)
    padding = row.segments == 0
    noisy = row._replace(
        ids=np.where(padding, rng.integers(0, VOCABULARY.size, LENGTH), row.ids).astype(np.int32),
        positions=np.where(padding[:, None], rng.integers(0, 50, (LENGTH, 3)), row.positions).astype(np.int32),
        ranges=np.where(padding, rng.integers(-1, 4, LENGTH), row.ranges).astype(np.int8),
    )
    before, after = hidden(row), hidden(noisy)
    np.testing.assert_array_equal(after[~padding], before[~padding])
    assert np.isfinite(before).all() and np.isfinite(after).all()


@settings(max_examples=10)
@given(packings)
def test_a_segment_alone_is_the_segment_packed(packing):
    row = build_row(packing, VOCABULARY, LENGTH)
    packed = hidden(row)
    for number, segment in enumerate(packing, start=1):
        alone = build_row([segment], VOCABULARY, LENGTH)
        np.testing.assert_allclose(packed[row.segments == number], hidden(alone)[alone.segments == 1], atol=2e-5)


def test_every_position_of_a_segment_sees_every_other():
    segment = Segment(
        {"text": np.arange(6), "image": np.arange(6).reshape(2, 3)}, TASKS["joint-image-text"], {"text": 1}
    )
    row = build_row([segment], VOCABULARY, LENGTH)
    before, used = hidden(row), row.segments == 1
    for place in (0, 3, used.sum() - 1):  # the first, the middle, the last: in both directions
        ids = row.ids.copy()
        ids[place] = VOCABULARY.mask
        assert (np.abs(hidden(row._replace(ids=ids)) - before)[used].max(axis=1) > 1e-6).all()


def test_a_masked_position_knows_its_range():
    row = build_row(
        [Segment({"audio": np.zeros((3, 2), int), "text": np.arange(2)}, TASKS["joint-audio-text"], {})],
        VOCABULARY,
        LENGTH,
    )
    masked = row._replace(ids=np.where(row.ranges == NO_RANGE, row.ids, VOCABULARY.mask).astype(np.int32))
    swapped = masked._replace(ranges=np.where(masked.ranges == 2, 3, masked.ranges).astype(np.int8))
    assert np.abs(hidden(masked) - hidden(swapped)).max() > 1e-3


@pytest.fixture(scope="module")
def loss_and_gradient():
    rng = np.random.default_rng(1)
    document = {"text": rng.integers(0, 20, 5), "image": rng.integers(0, 30, (2, 3)), "audio": np.zeros((2, 2), int)}
    tasks = [TASKS["joint-image-text"], TASKS["joint-audio-text"]]
    rows = stack([build_row([Segment(document, t, {"text": 2, "audio": 1}) for t in tasks], VOCABULARY, LENGTH)] * 2)
    masked = (rows.ranges != NO_RANGE) & (rng.random(rows.ids.shape) < 0.5)
    ids = np.where(masked, VOCABULARY.mask, rows.ids)
    chosen = np.where(masked, rows.ranges, NO_RANGE).astype(np.int32).reshape(-1)

    def run(**changes):
        def loss(p):
            denoiser = network(**changes).bind(p)
            states = denoiser.hidden(ids, rows.segments, rows.positions, rows.ranges).reshape(chosen.size, -1)
            return denoiser.cross_entropy(
                states, rows.ids.reshape(-1), chosen, jnp.ones(chosen.size), jnp.float32(1e-2)
            )[0]

        return jax.jit(jax.value_and_grad(loss))(parameters())

    return run


@pytest.fixture(scope="module")
def unrolled(loss_and_gradient):
    return loss_and_gradient()


@pytest.mark.parametrize(
    ("walk", "remat"), [("scan", "none"), ("scan", "dots"), ("unroll", "dots"), ("unroll", "full")]
)
def test_walk_and_remat_change_no_number(loss_and_gradient, unrolled, walk, remat):
    loss, gradient = loss_and_gradient(walk=walk, remat=remat)
    assert float(loss) == pytest.approx(float(unrolled[0]), rel=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4), gradient, unrolled[1])


def test_remat_recomputes_what_it_says():
    """Products of a program: "dots" computes attention again (scores and mixing), "full" the products with weights as well."""

    def products(remat):
        settings = {"walk": "scan", "remat": remat}
        row = jnp.zeros((2, LENGTH), jnp.int32)

        def loss(p):
            position = jnp.zeros((2, LENGTH, 3), jnp.int32)
            return network(**settings).bind(p).hidden(row, row, position, row).sum()

        return jax.jit(jax.grad(loss)).lower(parameters()).as_text().count("stablehlo.dot_general")

    none, dots, full = (products(remat) for remat in ("none", "dots", "full"))
    # The last product of a layer, into the stream, is never needed again.
    assert (dots - none, full - dots) == (2, 6)


def test_every_parameter_gets_a_gradient(unrolled):
    for path, gradient in jax.tree.leaves_with_path(unrolled[1]):
        assert np.isfinite(gradient).all() and np.asarray(gradient).any(), path
    assert all(np.asarray(layer).any() for leaf in unrolled[1]["blocks"].values() for layer in leaf)


def test_bfloat16_is_near_float32(loss_and_gradient, unrolled):
    loss, gradient = loss_and_gradient(compute_dtype="bfloat16")
    assert float(loss) == pytest.approx(float(unrolled[0]), rel=0.02)
    assert all(g.dtype == jnp.float32 for g in jax.tree.leaves(gradient))


def test_the_gradient_of_an_entry_that_many_share_is_summed_in_float32():
    """6,144 positions, half of them of one entry, as [MASK] is: in bfloat16 their sum stops growing."""
    random = np.random.default_rng(0)
    table = jnp.asarray(random.normal(size=(50, 8)), jnp.float32)
    at = jnp.asarray(np.where(random.random(6144) < 0.5, 0, random.integers(1, 50, 6144)))
    cotangent = jnp.asarray(1 + 0.1 * random.normal(size=(6144, 8)), jnp.bfloat16)
    _, pull = jax.vjp(lambda table: _entries(table, at, "bfloat16", ()), table)
    wanted = np.zeros((50, 8))
    np.add.at(wanted, np.asarray(at), np.asarray(cotangent, float))
    np.testing.assert_allclose(pull(cotangent)[0], wanted, rtol=1e-5)
    np.testing.assert_array_equal(_entries(table, at, "bfloat16", ()), table.astype(jnp.bfloat16)[at])


def test_residual_branches_carry_the_depth_multiplier():
    # At 4x the base depth each branch counts a quarter: with all-equal layers, depth 8 at m_L = 4 moves x by 8/4 branches.
    shallow = network(depth=1, parameterization=ParameterizationSettings(16, 1))
    deep = network(depth=1, parameterization=ParameterizationSettings(16, 4))
    p = shallow.initial_parameters(0)
    row = stack([build_row([Segment({"text": np.arange(5)}, TASKS["text"], {"text": 1})], VOCABULARY, LENGTH)])
    p = {**p, "blocks": {**p["blocks"], "down": 0 * p["blocks"]["down"]}}  # one branch: attention
    p4 = {**p, "blocks": {**p["blocks"], "out": 4 * p["blocks"]["out"]}}
    run = lambda net, q: np.asarray(net.bind(q).hidden(row.ids, row.segments, row.positions, row.ranges))  # noqa: E731
    np.testing.assert_allclose(run(deep, p), run(shallow, p4), atol=1e-5)  # 1/4 base depth: multiplier 4


def test_rms_norm_in_float32():
    x = np.random.default_rng(0).normal(size=(3, 8)) * 100
    gain = np.linspace(0.5, 2, 8)
    expected = x / np.sqrt((x**2).mean(axis=-1, keepdims=True)) * gain
    np.testing.assert_allclose(
        rms_norm(jnp.asarray(x, jnp.float32), jnp.asarray(gain, jnp.float32)), expected, rtol=1e-5
    )
    assert rms_norm(jnp.asarray(x, jnp.bfloat16), jnp.ones(8)).dtype == jnp.bfloat16
    assert not np.isnan(rms_norm(jnp.zeros((1, 8)), jnp.ones(8))).any()


def test_hidden_width_is_eight_thirds_rounded_up_to_64():
    widths = {128: 384, 96: 256, 192: 512, 1024: 2752}
    assert {w: ModelSettings(width=w).hidden_width for w in widths} == widths
    assert ModelSettings(hidden=100).hidden_width == 100


@pytest.mark.parametrize(
    "change",
    [
        {"width": 0}, {"depth": 0}, {"head_size": 0}, {"head_size": 24}, {"width": 9, "head_size": 9}, {"head_chunk": 0},
        {"walk": "run"}, {"remat": "some"}, {"compute_dtype": "float16"}, {"attention": "flash"}, {"hidden": -1},
        {"rope_base": 1.0}, {"embedding_std": -0.1}, {"parameterization": ParameterizationSettings(alpha=2.0)},
    ],
)  # fmt: skip
def test_settings_name_the_problem(change):
    (problem,) = dataclasses.replace(ModelSettings(), **change).problems("model")
    assert problem.where.startswith("model")


def test_default_settings_have_no_problem():
    assert ModelSettings().problems("model") == []
