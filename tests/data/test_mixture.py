from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mdm.data.mixture import Mixture, Stage, permute, problems

NAMES = ("a", "b", "c")
counts = st.tuples(*(st.integers(0, 7) for _ in NAMES)).filter(any).map(lambda c: dict(zip(NAMES, c, strict=True)))


@st.composite
def staged(draw):
    stages, start = [], 0
    for _ in range(draw(st.integers(1, 3))):
        stages.append(Stage(start, draw(counts)))
        start += stages[-1].block * draw(st.integers(1, 5))
    return tuple(stages)


@given(staged(), st.integers(0, 2**63 - 1))
@settings(max_examples=150, deadline=None)
def test_whole_blocks_hold_the_exact_ratio_and_no_ordinal_is_lost_or_doubled(stages, seed):
    assert problems(stages, NAMES, "stages") == []
    mixture = Mixture(stages, NAMES, seed)
    end = stages[-1].from_row + 4 * stages[-1].block
    stream, ordinal = mixture.locate(np.arange(end))
    for number, stage in enumerate(stages):
        stop = stages[number + 1].from_row if number + 1 < len(stages) else end
        for block in range(stage.from_row, stop, stage.block):
            found = Counter(stream[block : block + stage.block].tolist())
            assert {NAMES[s]: n for s, n in found.items()} == {s: n for s, n in stage.rows.items() if n}
    for number in range(len(NAMES)):
        own = ordinal[stream == number]
        assert sorted(own.tolist()) == list(range(len(own)))


@given(staged(), st.lists(st.integers(0, 10**12), min_size=1, max_size=20))
@settings(max_examples=100, deadline=None)
def test_a_row_does_not_depend_on_which_others_are_asked_for(stages, rows):
    mixture = Mixture(stages, NAMES, 7)
    together = mixture.locate(np.array(rows))
    for i, row in enumerate(rows):
        alone = mixture.locate(np.array([row]))
        assert (alone[0][0], alone[1][0]) == (together[0][i], together[1][i])


@given(staged(), st.integers(0, 200))
@settings(max_examples=100, deadline=None)
def test_rows_drawn_are_those_that_were_located(stages, rows):
    mixture = Mixture(stages, NAMES, 3)
    stream, _ = mixture.locate(np.arange(rows))
    assert mixture.drawn(rows).tolist() == np.bincount(stream, minlength=len(NAMES)).tolist()


def test_no_host_sees_a_biased_slice():
    mixture = Mixture((Stage(0, {"a": 2, "b": 1, "c": 1}),), NAMES, 0)
    stream, _ = mixture.locate(np.arange(4 * 2000))
    for host in range(4):  # a plain interleave would give host 0 only stream a
        share = np.bincount(stream[host::4], minlength=3) / 2000
        np.testing.assert_allclose(share, [0.5, 0.25, 0.25], atol=5 * (0.25 / 2000) ** 0.5)


@given(
    weights=st.tuples(st.integers(1, 5), st.integers(0, 5), st.integers(0, 5)),
    hosts=st.integers(1, 16),
    local=st.integers(1, 4),
    first=st.integers(0, 10**7),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=100, deadline=None)
def test_no_host_departs_from_the_mixture_in_any_hundred_blocks(weights, hosts, local, first, seed):
    """Beyond what a permutation allows: the streams of a host's rows are drawn without replacement from each block, so their
    count spreads less than that of independent draws; six of the deviations of those bound it."""
    mixture = Mixture((Stage(0, dict(zip(NAMES, weights, strict=True))),), NAMES, seed)
    block = sum(weights)
    rows = first * block + np.arange(100 * block)
    stream, _ = mixture.locate(rows)
    host = (rows % (hosts * local)) // local  # which reads the row, of a batch of `local` rows a host
    for number in range(hosts):
        own = stream[host == number]
        for index, weight in enumerate(weights):
            share = weight / block
            spread = (len(own) * share * (1 - share)) ** 0.5
            assert abs((own == index).sum() - len(own) * share) <= 6 * spread + 1


def test_blocks_and_seeds_are_permuted_differently():
    orders = {
        tuple(Mixture((Stage(0, {"a": 4, "b": 4}),), ("a", "b"), seed).locate(np.arange(8) + 8 * block)[0].tolist())
        for seed in range(4)
        for block in range(8)
    }
    assert len(orders) > 20


@given(st.integers(1, 3000), st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_permute_is_a_permutation(length, seed):
    found = permute(np.arange(length), length, seed, 3)
    assert sorted(found.tolist()) == list(range(length))


def test_permute_of_a_huge_range_needs_no_memory():
    found = permute(np.array([0, 10**15]), 10**16, 5)
    assert ((found >= 0) & (found < 10**16)).all() and found[0] != found[1]


def test_problems_name_the_key():
    def found(*stages):
        return " ".join(str(p) for p in problems(stages, NAMES, "data.stages"))

    assert "data.stages[0].rows.a" in found(Stage(0, {"a": -1, "b": 2}))
    assert "every weight is zero" in found(Stage(0, {"a": 0}))
    assert "is not a stream" in found(Stage(0, {"typo": 1}))
    assert "no stage begins at row 0" in found(Stage(4, {"a": 1}))
    assert "use 6" in found(Stage(0, {"a": 2, "b": 1}), Stage(5, {"a": 1}))
    assert "data.stages[1].from_row" in found(Stage(0, {"a": 1}), Stage(0, {"a": 1}))
