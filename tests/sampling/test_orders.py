import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdm.sampling.ends import Ends, closed, not_before_its_text, settle
from mdm.sampling.orders import ORDERS, Step, ancestral, entropy_bounded, first_hitting, rank_of, surest, threshold

END, CODE, MASK = 9, 3, 99


def state(log_prob, masked, keep=0.5, left=0.5, noise=0.0, tokens=None, free=True, seed=0, tau=0.9, bound=0.1):
    log_prob, masked = jnp.asarray(log_prob, jnp.float32), jnp.asarray(masked, bool)
    tokens = jnp.full(masked.shape, CODE) if tokens is None else jnp.asarray(tokens)
    ends = Ends(jnp.broadcast_to(free, (1, *masked.shape)), jnp.full(masked.shape, END), jnp.zeros(masked.shape, bool))
    keys = jax.random.split(jax.random.key(seed), masked.shape[0])
    keep = jnp.full(masked.shape[0], keep, jnp.float32)
    return Step(masked, tokens, log_prob, keep, jnp.float32(left), noise, tau, bound, keys, ends)


@pytest.mark.parametrize("order", ["random", "confidence", "margin", "entropy"])
def test_counts_are_exact_under_ties(order):
    masked = np.zeros((2, 12), bool)
    masked[0, 2:12], masked[1, 5:8] = True, True
    choice = ORDERS[order].choose(state(np.zeros((2, 12)), masked, keep=0.5))
    np.testing.assert_array_equal(choice.selected.sum(1), [5, 2])
    assert not (choice.selected & ~masked).any()


@pytest.mark.parametrize("order", [name for name, order in ORDERS.items() if order.on_grid])
def test_the_last_step_leaves_nothing(order):
    masked = np.random.default_rng(0).random((3, 12)) < 0.5
    choice = ORDERS[order].choose(state(np.zeros((3, 12)), masked, keep=0.0, left=0.0, noise=2.0))
    np.testing.assert_array_equal(choice.selected, masked)


def test_ancestral_uncovers_each_with_the_stated_probability():
    choice = ancestral(state(np.zeros((200, 100)), np.ones((200, 100)), keep=0.7))
    assert abs(float(choice.selected.mean()) - 0.3) < 5 * np.sqrt(0.21 / 20000)


def test_confidence_takes_the_likeliest():
    choice = surest(state([[-3.0, -1.0, -2.0, -0.5]], np.ones((1, 4)), keep=0.5))
    np.testing.assert_array_equal(choice.selected, [[False, True, False, True]])


def test_the_noise_of_confidence_is_annealed_to_nothing():
    log_prob = np.linspace(-1, 0, 64)[None]
    at = lambda left: surest(state(log_prob, np.ones((1, 64)), 0.5, left, noise=5.0)).selected  # noqa: E731
    assert at(0.0)[0, 32:].all()
    assert not at(1.0)[0, 32:].all()


@pytest.mark.parametrize("order", [name for name, order in ORDERS.items() if not order.on_grid])
def test_orders_without_a_grid_uncover_at_least_one_position_of_every_row_that_has_any(order):
    masked = np.random.default_rng(0).random((6, 12)) < [[0.0], [0.1], [0.3], [0.5], [0.9], [1.0]]
    choice = ORDERS[order].choose(state(np.full((6, 12), -3.0), masked, bound=0.0))
    np.testing.assert_array_equal(choice.selected.any(1), masked.any(1))
    assert not (choice.selected & ~masked).any()


def test_first_hitting_hits_one_position_and_each_alike():
    masked = np.broadcast_to([True, False, True, True], (30_000, 4))
    selected = np.asarray(first_hitting(state(np.zeros(masked.shape), masked)).selected)
    assert (selected.sum(1) == 1).all()
    assert np.abs(selected.mean(0) - [1 / 3, 0, 1 / 3, 1 / 3]).max() < 5 * np.sqrt(2 / 9 / 30_000)


def test_the_entropy_bound_takes_the_longest_run():
    entropy = np.array([[0.5, 0.1, 0.05, 9.0, 0.2], [0.5, 0.6, 0.7, 0.8, 0.9]])
    masked = np.array([[True, True, True, False, True], [True] * 5])
    # by rising entropy, sum less the largest: row 0 0, 0.05, 0.15, 0.35; row 1 0, 0.5, ...
    for bound, wanted in ((0.0, [1, 1]), (0.04, [1, 1]), (0.06, [2, 1]), (0.2, [3, 1]), (0.36, [4, 1]), (0.51, [4, 2])):
        selected = np.asarray(entropy_bounded(state(-entropy, masked, bound=bound)).selected)
        np.testing.assert_array_equal(selected.sum(1), wanted)
        for row, own in enumerate(selected):
            taken, left = entropy[row][own], entropy[row][masked[row] & ~own]
            assert left.size == 0 or taken.max() <= left.min()


def test_the_threshold_takes_all_that_reach_it_and_else_the_surest():
    log_prob = np.log([[0.95, 0.2, 0.91, 0.89], [0.3, 0.4, 0.1, 0.2], [0.9, 0.9, 0.9, 0.9]])
    selected = threshold(state(log_prob, np.ones((3, 4), bool), tau=0.9)).selected
    np.testing.assert_array_equal(selected, [[1, 0, 1, 0], [0, 1, 0, 0], [1, 1, 1, 1]])


@pytest.mark.parametrize("order", [threshold, entropy_bounded])
def test_sure_ends_far_back_wait_without_a_grid_too(order):
    tokens = [[CODE] * 6 + [END] * 10]
    selected = order(state([[-2.0] * 6 + [-0.01] * 10], np.ones((1, 16), bool), tokens=tokens)).selected
    assert selected.sum() == 1 and selected[0, 0]


def test_rank_puts_unmasked_positions_last_and_keeps_positions_among_equals():
    rank = rank_of(jnp.array([[1.0, 5.0, 1.0, -jnp.inf, 7.0]]), jnp.array([[True, False, True, True, True]]))
    np.testing.assert_array_equal(rank[0, [4, 0, 2, 3, 1]], np.arange(5))


def free_span(length):
    return Ends(jnp.ones((1, 1, length), bool), jnp.full((1, length), END), jnp.zeros((1, length), bool))


def test_an_end_waits_for_the_positions_before_it():
    """Far ENDs are the surest draws of all, as in a model trained on padding; none may go before the text."""
    tokens = [[CODE] * 6 + [END] * 10]
    log_prob = [[-2.0] * 6 + [-0.01] * 10]
    masked = np.ones((1, 16), bool)
    for keep in (15 / 16, 0.75, 11 / 16):
        selected = surest(state(log_prob, masked, keep, tokens=tokens)).selected
        assert not selected[0, 6:].any()
    selected = surest(state(log_prob, masked, 0.5, tokens=tokens)).selected
    np.testing.assert_array_equal(selected[0], [True] * 8 + [False] * 8)


def test_a_stray_unsure_code_does_not_go_before_the_end_that_cuts_it_off():
    tokens = [[CODE, END, END, CODE, END]]
    scores = not_before_its_text(
        jnp.array([[-0.3, -0.1, -0.1, -4.0, -0.1]]), jnp.array(tokens), jnp.ones((1, 5), bool), free_span(5)
    )
    np.testing.assert_allclose(scores, [[-0.3, -0.3, -0.3, -4.0, -4.0]])


def commit(ids, selected, tokens, rank):
    ids = jnp.array([ids])
    out, masked = settle(
        ids, ids == MASK, jnp.array([selected], bool), jnp.array([rank]), jnp.array([tokens]),
        jnp.full(ids.shape, CODE), free_span(ids.shape[1]),
    )  # fmt: skip
    return out[0].tolist(), masked[0].tolist()


def test_an_end_closes_everything_behind_it():
    ids, masked = commit([1, MASK, MASK, MASK, MASK], [0, 0, 1, 0, 0], [4, 4, END, 4, 4], [4, 0, 1, 2, 3])
    assert ids == [1, MASK, END, END, END] and masked == [False, True, False, False, False]


def test_in_one_step_the_better_ranked_of_end_and_code_stands():
    tokens, selected = [4, END, 5, 4], [0, 1, 1, 0]
    assert commit([MASK] * 4, selected, tokens, [3, 0, 1, 2])[0] == [MASK, END, END, END]
    assert commit([MASK] * 4, selected, tokens, [3, 1, 0, 2])[0] == [MASK, CODE, 5, MASK]


def test_a_step_is_settled_as_if_its_draws_were_written_one_by_one():
    """Against a loop over the ranks, over many drawings: an END stands unless a code that stands is behind it."""
    rng = np.random.default_rng(0)
    length, rows = 9, 400
    ids = np.where(rng.random((rows, length)) < 0.7, MASK, CODE)
    masked = ids == MASK
    selected = masked & (rng.random(ids.shape) < 0.8)
    rank = np.argsort(rng.random(ids.shape), axis=1)
    tokens = np.where(rng.random(ids.shape) < 0.5, END, 5)
    ends = Ends(jnp.ones((1, rows, length), bool), jnp.full(ids.shape, END), jnp.zeros(ids.shape, bool))
    tokens = np.where(closed(ends, jnp.asarray(ids), jnp.asarray(masked)), 5, tokens)
    found = settle(
        *(jnp.asarray(a) for a in (ids, masked, selected, rank, tokens)), jnp.full(ids.shape, CODE), ends,
    )  # fmt: skip
    for row in range(rows):
        first, last = length, -1  # END so far, and code of this step
        for place in np.argsort(rank[row]):
            if selected[row, place] and last < place < first:
                first, last = (place, last) if tokens[row, place] == END else (first, place)
        wanted = np.where(selected[row], np.where(tokens[row] == END, CODE, tokens[row]), ids[row])
        wanted[first:] = np.where(masked[row, first:], END, ids[row, first:])
        np.testing.assert_array_equal(found[0][row], wanted)
        np.testing.assert_array_equal(found[1][row], masked[row] & ~selected[row] & (np.arange(length) < first))


def test_no_end_is_drawn_before_one_that_is_given():
    ends = free_span(4)._replace(given=jnp.array([[True, True, True, False]]))
    ids = jnp.full((1, 4), MASK)
    np.testing.assert_array_equal(closed(ends, ids, ids == MASK), ends.given)


def test_no_end_before_what_is_committed():
    ids = jnp.array([[MASK, MASK, 2, MASK, END]])
    np.testing.assert_array_equal(closed(free_span(5), ids, ids == MASK), [[True, True, False, False, False]])


def test_spans_are_apart():
    spans = jnp.array([[[True, True, False, False]], [[False, False, True, True]]])
    ends = Ends(spans, jnp.full((1, 4), END), jnp.zeros((1, 4), bool))
    ids = jnp.array([[MASK, MASK, MASK, 2]])
    np.testing.assert_array_equal(closed(ends, ids, ids == MASK), [[False, False, True, False]])
    out, _ = settle(
        ids, ids == MASK, jnp.array([[True, False, True, False]]), jnp.array([[0, 2, 1, 3]]),
        jnp.array([[END, 4, 5, 5]]), jnp.full((1, 4), CODE), ends,
    )  # fmt: skip
    np.testing.assert_array_equal(out, [[END, END, 5, 2]])
