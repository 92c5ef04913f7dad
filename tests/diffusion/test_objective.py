import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdm.diffusion.corruption import CorruptionSettings, corrupt
from mdm.diffusion.objective import RATIO_BINS, ObjectiveSettings, Sums, loss, maskable_count
from mdm.tokens.rows import TARGET, Row
from mdm.tokens.tasks import TASK_NAMES
from mdm.tokens.vocabulary import MODALITIES

ROWS = 48


@pytest.fixture(scope="module")
def batch(cases, numbered):
    """Rows of all three cases with random symbols, in turn."""
    rng = np.random.default_rng(0)
    parts = [c.rows(np.stack([rng.integers(0, r.size, ROWS // 3) for r in c.ranges], axis=1)) for c in cases]
    rows = Row(*(np.stack(arrays, axis=1).reshape(ROWS, *arrays[0].shape[1:]) for arrays in zip(*parts, strict=True)))
    return numbered(rows)


@pytest.fixture(scope="module")
def corrupted(batch, tiny):
    settings = CorruptionSettings(condition_drop=0.5)
    return jax.tree.map(np.asarray, jax.jit(lambda b: corrupt(b, settings, 0, tiny.mask))(batch))


@functools.cache
def _compiled(tabular, vocabulary, z_loss, weights):
    settings = ObjectiveSettings(dict(weights), z_loss)

    def objective(table, rows, corrupted, *counts):
        return loss(tabular(table), rows, corrupted, vocabulary, settings, *counts)

    return jax.jit(jax.value_and_grad(objective, has_aux=True))


@pytest.fixture(scope="module")
def run(tabular, tiny, random_table):
    def objective(rows, corrupted, *counts, z_loss=0.0, weights=()):
        return _compiled(tabular, tiny, z_loss, weights)(random_table, rows, corrupted, *counts)

    return objective


def test_micro_batches_add_up_to_the_whole(batch, corrupted, run):
    (whole, sums), gradient = run(batch.rows, corrupted, z_loss=0.01, weights=(("image", 3.0),))
    counts = maskable_count(batch.rows), jnp.asarray(corrupted.masked.sum())
    parts = [slice(0, 20), slice(20, 40), slice(40, 48)]
    found = [
        run(
            *(jax.tree.map(lambda a, p=p: a[p], t) for t in (batch.rows, corrupted)),
            *counts,
            z_loss=0.01,
            weights=(("image", 3.0),),
        )
        for p in parts
    ]
    assert sum(float(part) for (part, _), _ in found) == pytest.approx(float(whole), rel=1e-6)
    np.testing.assert_allclose(sum(np.asarray(g) for _, g in found), gradient, rtol=1e-5, atol=1e-8)
    added = jax.tree.map(lambda *xs: sum(np.asarray(x) for x in xs), *(s for (_, s), _ in found))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6), added, sums)


def test_default_counts_are_those_of_the_rows(batch, corrupted, run):
    given = maskable_count(batch.rows), jnp.asarray(corrupted.masked.sum())
    assert float(run(batch.rows, corrupted, z_loss=0.01)[0][0]) == float(
        run(batch.rows, corrupted, *given, z_loss=0.01)[0][0]
    )


def test_denominator_is_what_could_be_masked_not_what_was(batch, corrupted, run):
    (total, sums), _ = run(batch.rows, corrupted)
    maskable = (batch.rows.roles == TARGET).sum()
    assert maskable != corrupted.masked.sum()
    assert float(maskable_count(batch.rows)) == maskable == np.asarray(sums.maskable).sum()
    assert float(total) == pytest.approx(np.asarray(sums.elbo).sum() / maskable, rel=1e-6)


def test_loss_weights_touch_the_loss_and_never_the_sums(batch, corrupted, run):
    (_, plain), _ = run(batch.rows, corrupted)
    (total, sums), _ = run(batch.rows, corrupted, weights=(("image", 3.0), ("text", 0.5)))
    jax.tree.map(np.testing.assert_array_equal, sums, plain)
    by_modality = np.asarray(sums.elbo).sum(axis=(0, 1))
    factors = np.array([{"image": 3.0, "text": 0.5, "audio": 1.0}[m] for m in MODALITIES])
    assert float(total) == pytest.approx(factors @ by_modality / np.asarray(sums.maskable).sum(), rel=1e-6)


def test_z_loss_is_divided_by_its_own_count(batch, corrupted, run, tabular, random_table, tiny):
    (with_z, sums), _ = run(batch.rows, corrupted, z_loss=0.01)
    (without, plain), _ = run(batch.rows, corrupted)
    jax.tree.map(np.testing.assert_array_equal, sums, plain)
    hidden = np.asarray(
        tabular(jnp.asarray(random_table)).hidden(
            jnp.asarray(corrupted.ids), None, None, jnp.asarray(batch.rows.ranges)
        )
    )
    squares = [
        np.logaddexp.reduce(
            hidden[b, i, tiny.ranges[batch.rows.ranges[b, i]].start : tiny.ranges[batch.rows.ranges[b, i]].stop]
        )
        ** 2
        for b, i in zip(*np.nonzero(corrupted.masked), strict=True)
    ]
    assert float(with_z - without) == pytest.approx(0.01 * np.mean(squares), rel=1e-4)


def test_sums_are_filed_by_task_drop_modality_and_ratio(batch, corrupted, run, tabular, random_table, tiny):
    (_, sums), _ = run(batch.rows, corrupted)
    model = tabular(jnp.asarray(random_table))
    rows = batch.rows
    hidden = model.hidden(jnp.asarray(corrupted.ids), None, None, jnp.asarray(rows.ranges))
    chosen = np.where(corrupted.masked, rows.ranges, -1).astype(np.int32).reshape(-1)
    _, nats = model.cross_entropy(hidden.reshape(-1, tiny.output_size), rows.ids.reshape(-1), chosen, 0.0, 0.0)
    nats = np.asarray(nats).reshape(rows.ids.shape)
    shape = (len(TASK_NAMES), 2, len(MODALITIES))
    bins = (len(TASK_NAMES), len(MODALITIES), RATIO_BINS)
    expected = Sums(np.zeros(shape), np.zeros(shape), np.zeros(shape), np.zeros(bins), np.zeros(bins))
    for b, i in zip(*np.nonzero(rows.roles == TARGET), strict=True):
        m = MODALITIES.index(tiny.ranges[rows.ranges[b, i]].modality)
        cell = rows.tasks[b, i], int(corrupted.dropped[b, i]), m
        expected.maskable[cell] += 1
        if corrupted.masked[b, i]:
            expected.masked[cell] += 1
            expected.elbo[cell] += corrupted.weights[b, i] * nats[b, i]
            ratio_bin = min(int(corrupted.ratios[b, i] * RATIO_BINS), RATIO_BINS - 1)
            expected.bin_masked[rows.tasks[b, i], m, ratio_bin] += 1
            expected.bin_nats[rows.tasks[b, i], m, ratio_bin] += nats[b, i]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), sums, expected)
    dropped = np.asarray(sums.maskable)[:, 1]
    assert (
        dropped[TASK_NAMES.index("text-to-image")].sum() > 0
    )  # conditional rows with their condition hidden, kept apart
    assert dropped.sum() == dropped[TASK_NAMES.index("text-to-image")].sum()


def test_rows_without_targets_cost_nothing(batch, corrupted, run):
    empty = batch.rows._replace(roles=np.zeros_like(batch.rows.roles))
    nothing = corrupted._replace(masked=np.zeros_like(corrupted.masked), weights=np.zeros_like(corrupted.weights))
    (total, sums), gradient = run(empty, nothing, z_loss=0.01)
    assert float(total) == 0 and not np.asarray(gradient).any()
    assert all(not np.asarray(s).any() for s in sums)


def test_settings_list_every_problem():
    found = [
        p.where
        for p in ObjectiveSettings({"video": 1.0, "text": -1.0, "image": float("nan")}, 2.0).problems("objective")
    ]
    assert sorted(found) == [
        "objective.loss_weights",
        "objective.loss_weights.image",
        "objective.loss_weights.text",
        "objective.z_loss",
    ]
    assert ObjectiveSettings({"text": 0.0}).problems("objective") == []
