import functools

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mdm.diffusion.corruption import (
    COMPLEMENTARY,
    INDEPENDENT,
    CorruptionSettings,
    corrupt,
    corrupt_fixed_count,
    low_discrepancy,
    rank_in_segment,
)
from mdm.tokens.rows import CONDITION, FIXED, TARGET, Batch, Row, Segment, build_row, row_number, stack
from mdm.tokens.tasks import TASK_NAMES, TASKS

LENGTH = 64
ROWS = 256
DROP = 0.25
MODES = (INDEPENDENT, COMPLEMENTARY)

every_mode = pytest.mark.parametrize("mode", MODES)
_low_discrepancy = jax.jit(low_discrepancy)
_rank = jax.jit(rank_in_segment)


@pytest.fixture(scope="module")
def rows(vocabulary) -> Row:
    """Rows packed with two to four segments of random tasks."""
    rng = np.random.default_rng(0)

    def segment():
        document = {
            "text": rng.integers(0, 20, rng.integers(1, 6)), "image": rng.integers(0, 30, (2, rng.integers(1, 4))),
            "audio": np.stack([rng.integers(0, 5, 3), rng.integers(0, 6, 3)], 1),
        }  # fmt: skip
        return Segment(document, TASKS[rng.choice(TASK_NAMES)], {"text": int(rng.integers(0, 3)), "audio": 1})

    return stack([build_row([segment() for _ in range(rng.integers(2, 4))], vocabulary, LENGTH) for _ in range(ROWS)])


def batch_of(rows, number=None, stream=None) -> Batch:
    number = np.arange(len(rows.ids)) if number is None else np.asarray(number)
    stream = number % 3 if stream is None else np.asarray(stream)
    return Batch(rows, row_number(number), stream.astype(np.int32), (number // 2 % 2**32).astype(np.uint32))


def pick(tree, index):
    return jax.tree.map(lambda array: np.asarray(array)[index], tree)


@functools.cache
def _compiled(mode, mask_id):
    chosen = CorruptionSettings(mode=mode, schedule="cosine", schedules={"text": "linear"}, condition_drop=DROP)
    return jax.jit(lambda batch, seed: corrupt(batch, chosen, seed, mask_id))


def run(mode, batch, vocabulary, seed=3):
    return jax.tree.map(np.asarray, _compiled(mode, vocabulary.mask)(batch, seed))


@functools.cache
def _compiled_fixed(mask_id):
    return jax.jit(lambda rows, number, sample, samples: corrupt_fixed_count(rows, number, 3, sample, samples, mask_id))


def run_fixed(rows, number, sample, samples, vocabulary):
    found = _compiled_fixed(vocabulary.mask)(rows, row_number(number), sample, samples)
    return jax.tree.map(np.asarray, found)


def every_way(rows, vocabulary):
    numbers = np.arange(ROWS)
    return [*(run(mode, batch_of(rows), vocabulary) for mode in MODES), run_fixed(rows, numbers, 0, 1, vocabulary)]


def segments_of(rows):
    for b in range(len(rows.ids)):
        for s in range(1, rows.segments[b].max() + 1):
            yield b, rows.segments[b] == s


def test_only_targets_are_masked_and_only_they_weigh(rows, vocabulary):
    for c in every_way(rows, vocabulary):
        assert c.masked.any() and not c.masked[rows.roles != TARGET].any()
        assert ((c.weights > 0) == c.masked).all() and (c.weights[~c.masked] == 0).all()
        hidden = c.ids == vocabulary.mask
        assert not hidden[rows.roles == FIXED].any() and not hidden[rows.segments == 0].any()
        np.testing.assert_array_equal(hidden, c.masked | (c.dropped & (rows.roles == CONDITION)))
        np.testing.assert_array_equal(c.ids[~hidden], rows.ids[~hidden])
        assert (c.weights.dtype, c.ratios.dtype, c.ids.dtype) == (np.float32, np.float32, np.int32)


@every_mode
def test_conditions_are_dropped_whole_and_only_in_conditional_tasks(rows, vocabulary, mode):
    conditional = np.array([bool(t.conditions) for t in TASKS.values()])
    draws = []
    for seed in range(6):
        c = run(mode, batch_of(rows), vocabulary, seed)
        for b, own in segments_of(rows):
            (dropped,) = set(c.dropped[b, own])  # one decision a segment
            (task,) = set(rows.tasks[b, own])
            if conditional[task]:
                given = own & (rows.roles[b] == CONDITION)
                assert given.any() and set(c.ids[b, given] == vocabulary.mask) == {dropped}
                draws.append(dropped)
            else:
                assert not dropped
        assert not c.dropped[rows.segments == 0].any()
    draws = np.array(draws[:: 2 if mode == COMPLEMENTARY else 1])
    assert abs(draws.mean() - DROP) < 4 * np.sqrt(DROP * (1 - DROP) / len(draws))


def test_nothing_is_dropped_without_a_probability_or_under_fixed_counts(rows, vocabulary):
    plain = CorruptionSettings(condition_drop=0.0)
    assert not jax.jit(lambda b: corrupt(b, plain, 0, vocabulary.mask).dropped)(batch_of(rows)).any()
    assert not run_fixed(rows, np.arange(ROWS), 0, 1, vocabulary).dropped.any()


@every_mode
def test_noise_belongs_to_the_row_not_to_the_batch(rows, vocabulary, mode):
    batch = batch_of(rows, number=np.arange(ROWS) + 2**32 - ROWS // 2)  # across the word boundary
    whole = run(mode, batch, vocabulary)
    order = np.random.default_rng(1).permutation(ROWS)
    jax.tree.map(np.testing.assert_array_equal, run(mode, pick(batch, order), vocabulary), pick(whole, order))
    part = slice(ROWS // 2 - 3, ROWS // 2 + 4)
    jax.tree.map(np.testing.assert_array_equal, run(mode, pick(batch, part), vocabulary), pick(whole, part))


def test_fixed_count_noise_belongs_to_the_document(rows, vocabulary):
    numbers = np.arange(ROWS) + 2**33 - 5
    whole = run_fixed(rows, numbers, 1, 3, vocabulary)
    order = np.random.default_rng(1).permutation(ROWS)
    again = run_fixed(pick(rows, order), numbers[order], 1, 3, vocabulary)
    jax.tree.map(np.testing.assert_array_equal, again, pick(whole, order))


@every_mode
def test_every_key_changes_the_noise(rows, vocabulary, mode):
    same = pick(rows, np.zeros(ROWS, int))
    base = Batch(same, row_number(np.full(ROWS, 8)), np.zeros(ROWS, np.int32), np.zeros(ROWS, np.uint32))
    masks = {
        "base": base, "low word": base._replace(number=row_number(np.full(ROWS, 10))),
        "high word": base._replace(number=row_number(np.full(ROWS, 2**32 + 8))),
        "ordinal": base._replace(ordinal=base.ordinal + np.uint32(1)), "stream": base._replace(stream=base.stream + 1),
    }  # fmt: skip
    found = {name: run(mode, batch, vocabulary).masked[0].tobytes() for name, batch in masks.items()}
    found["seed"] = run(mode, base, vocabulary, seed=4).masked[0].tobytes()
    assert len(set(found.values())) == len(found)


def test_segments_of_one_row_are_hidden_independently(vocabulary):
    segment = Segment({"text": np.arange(6)}, TASKS["text"], {"text": 1})
    rows = stack([build_row([segment] * 4, vocabulary, LENGTH)] * ROWS)
    c = run(INDEPENDENT, batch_of(rows, stream=np.zeros(ROWS)), vocabulary)
    places = [np.flatnonzero((rows.segments[0] == s) & (rows.roles[0] == TARGET)) for s in range(1, 5)]
    ratios = np.stack([c.ratios[:, p[0]] for p in places], axis=1)
    assert (np.abs(np.diff(np.sort(ratios, axis=1), axis=1)) > 1e-3).all()
    alike = [(c.masked[:, places[0]] == c.masked[:, p]).all(axis=1).mean() for p in places[1:]]
    assert max(alike) < 0.25
    assert all((c.ratios[:, p] == c.ratios[:, p[:1]]).all() for p in places)  # but one ratio inside a segment


@pytest.mark.parametrize("first", [0, 2**32, 3 * 2**33])
def test_complementary_views_are_exact_complements(rows, vocabulary, first):
    doubled = pick(rows, np.arange(ROWS) // 2)
    number = first + np.arange(ROWS)
    c = run(COMPLEMENTARY, batch_of(doubled, number, stream=number // 2 % 3), vocabulary)
    a, b = pick(c, slice(0, None, 2)), pick(c, slice(1, None, 2))
    target = doubled.roles[::2] == TARGET
    np.testing.assert_array_equal(a.masked ^ b.masked, target)
    assert not (a.masked & b.masked).any()
    np.testing.assert_array_equal(a.dropped, b.dropped)
    for row, own in segments_of(pick(doubled, slice(0, None, 2))):
        own &= target[row]
        n = own.sum()
        for view in (a, b):
            k = view.masked[row, own].sum()
            np.testing.assert_allclose(
                view.weights[row, own], np.where(view.masked[row, own], (n + 1) / max(k, 1), 0), rtol=1e-6
            )
            np.testing.assert_allclose(view.ratios[row, own], k / n, rtol=1e-6)


def test_pairs_of_different_data_rows_differ(rows, vocabulary):
    same = pick(rows, np.zeros(ROWS, int))
    c = run(COMPLEMENTARY, batch_of(same, stream=np.zeros(ROWS)), vocabulary)
    assert len({m.tobytes() for m in c.masked[::2]}) > 0.75 * ROWS / 2


def test_fixed_counts_are_exact(rows, vocabulary):
    samples = 3
    for sample in range(samples):
        c = run_fixed(rows, np.arange(ROWS), sample, samples, vocabulary)
        for b, own in segments_of(rows):
            own = own & (rows.roles[b] == TARGET)
            n, k = own.sum(), c.masked[b, own].sum()
            assert (
                np.floor(n * sample / samples) + 1 <= k <= np.floor(n * (sample + 1) / samples) + 1 <= n + 1
                and 1 <= k <= n
            )
            np.testing.assert_allclose(c.weights[b, own & c.masked[b]], n / k, rtol=1e-6)
            np.testing.assert_allclose(c.ratios[b, own], k / n, rtol=1e-6)


def test_as_many_samples_as_targets_take_every_count_once(vocabulary):
    n = 7
    row = build_row([Segment({"text": np.arange(5)}, TASKS["text"], {"text": 2})], vocabulary, LENGTH)
    rows = stack([row] * ROWS)
    counts = [run_fixed(rows, np.arange(ROWS), s, n, vocabulary).masked.sum(axis=1) for s in range(n)]
    np.testing.assert_array_equal(np.sort(counts, axis=0), np.arange(1, n + 1)[:, None] * np.ones(ROWS, int))


def _discrepancy(points) -> float:
    points, n = np.sort(points), len(points)
    return max((np.arange(1, n + 1) / n - points).max(), (points - np.arange(n) / n).max())


def test_ratios_of_a_stream_have_low_discrepancy():
    key, slots = jax.random.key(0), np.arange(1, 5, dtype=np.int32)
    segments = np.repeat(slots[None], 512, axis=0)
    stream = np.zeros(512, np.int32)
    for start in (0, 12_345, 2**32 - 256):  # also where the ordinal wraps
        ordinal = (start + np.arange(512)).astype(np.uint32)
        u = np.asarray(_low_discrepancy(key, stream, ordinal, segments))
        for slot in range(4):
            assert _discrepancy(u[:, slot]) < 5 / 512  # independent draws: 0.87 / sqrt(512) = 20 / 512
        assert _discrepancy(u.ravel()) < 0.25 * 0.87 / np.sqrt(2048)
        for some in (u[:37, 0], u[100:137, 2]):  # and any short run of rows
            assert _discrepancy(some) < 4 / 37


def test_ratios_are_uniform_over_seeds():
    stream, ordinal = np.array([2, 2, 5], np.int32), np.array([7, 8, 2**31], np.uint32)
    segments = np.array([[1, 2]] * 3, np.int32)
    many = jax.jit(jax.vmap(lambda s: low_discrepancy(jax.random.key(s), stream, ordinal, segments)))(np.arange(4096))
    for row in range(3):
        for slot in range(2):
            assert stats.kstest(np.asarray(many)[:, row, slot], "uniform").pvalue > 1e-3
    # Streams are shifted apart by their own random amounts.
    assert abs(np.corrcoef(many[:, 0, 0], many[:, 2, 0])[0, 1]) < 4 / 64
    assert np.asarray(many).min() >= 0 and np.asarray(many).max() < 1


def test_schedule_belongs_to_the_task(rows, vocabulary):
    c = run(INDEPENDENT, batch_of(rows), vocabulary)
    chosen = CorruptionSettings(schedule="cosine", schedules={"text": "linear"})
    for task in ("text", "text-to-image", "joint-image-text"):
        masked = c.masked & (rows.tasks == TASK_NAMES.index(task))
        expected = np.asarray(chosen.schedule_of(task).weight(jax.numpy.asarray(c.ratios[masked])))
        np.testing.assert_allclose(c.weights[masked], expected, rtol=1e-6)
    linear = c.masked & (rows.tasks == TASK_NAMES.index("text"))
    np.testing.assert_allclose(c.weights[linear] * c.ratios[linear], 1 - 1e-3, rtol=1e-5)


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.sampled_from([FIXED, CONDITION, TARGET]), st.integers(0, 3)),
        min_size=12,
        max_size=12,
    )
)
def test_rank_in_segment_orders_the_targets_of_each_segment(places):
    segments, roles, scores = (np.array(column) for column in zip(*places, strict=True))
    scores = scores / 4  # with ties: earlier positions first
    fields = {"segments": segments[None].astype(np.int32), "roles": roles[None].astype(np.int8)}
    row = Row(*(fields.get(name) for name in Row._fields))
    rank, count = (np.asarray(x)[0] for x in _rank(scores[None].astype(np.float32), row))
    for s in np.unique(segments[roles == TARGET]):
        own = np.flatnonzero((segments == s) & (roles == TARGET))
        assert own[np.argsort(scores[own], kind="stable")].tolist() == own[np.argsort(rank[own])].tolist()
        assert sorted(rank[own]) == list(range(len(own))) and (count[own] == len(own)).all()


def test_settings_list_every_problem():
    bad = CorruptionSettings("anti", "lineal", {"text": "cosine-3", "text-to-video": "linear"}, 0.0, 1.0)
    found = {p.where for p in bad.problems("corruption")}
    assert found == {
        "corruption.mode", "corruption.schedule", "corruption.schedules.text", "corruption.schedules",
        "corruption.smallest_ratio", "corruption.condition_drop",
    }  # fmt: skip
    assert CorruptionSettings().problems("corruption") == []
    assert (CorruptionSettings().views, CorruptionSettings(mode=COMPLEMENTARY).views) == (1, 2)
