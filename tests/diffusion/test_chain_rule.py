"""The chain rule held to its enumeration: every order of a table, and what their mean and their mixture are."""

import functools
import itertools
import math

import jax
import numpy as np
import pytest

from mdm.diffusion.chain_rule import ranks, uncover
from mdm.tokens.rows import TARGET, Row, row_number

VALUES = (1, 0, 2, 1)
RADIX = 5  # of the table's patterns, see conftest


DRAW = jax.jit(ranks, static_argnums=0)


@functools.cache
def _compiled(tabular, tiny):
    return jax.jit(lambda table, rows, rank: uncover(tabular(table), rows, rank, tiny))


def uncovered(tabular, tiny, table, rows, rank):
    return _compiled(tabular, tiny)(table, rows, rank)


def every_order(case, length):
    """(orders of the slots, int32 [orders, L]: the step at which each position is uncovered)."""
    orders = list(itertools.permutations(case.targets))
    rank = np.full((len(orders), length), -1, np.int32)
    for row, order in zip(rank, orders, strict=True):
        row[case.places[list(order)]] = np.arange(len(order))
    return orders, rank


def by_hand(case, table, order) -> float:
    """-log p of VALUES, uncovered in `order`."""
    total = 0.0
    for step, slot in enumerate(order):
        pattern = sum((RADIX - 1 if s in order[step:] else v) * RADIX**s for s, v in enumerate(VALUES))
        total += case._nll(table[pattern, slot], slot, VALUES[slot])
    return total


def test_orders_their_mean_and_their_mixture(case, random_table, tabular, tiny):
    orders, rank = every_order(case, case.row.ids.shape[0])
    rows = case.rows([VALUES] * len(orders))
    found = uncovered(tabular, tiny, random_table, rows, rank)
    nats = np.asarray(found.nats, np.float64).sum(axis=1)
    np.testing.assert_allclose(nats, [by_hand(case, random_table, order) for order in orders], rtol=1e-5)
    assert nats.max() - nats.min() > 1  # one order says little of another
    assert nats.mean() == pytest.approx(case.any_order(random_table, VALUES), rel=1e-5)
    mixture = math.log(len(nats)) - np.logaddexp.reduce(-nats)
    assert mixture < nats.mean() - 0.1  # the bound is tighter, and here by far
    assert not np.asarray(found.nats)[:, np.asarray(case.row.roles) != TARGET].any()


def test_in_an_order_the_probabilities_of_all_documents_sum_to_one(case, random_table, tabular, tiny):
    given = [s for s in range(len(case.places)) if s not in case.targets]
    values = [v for v in case.all_values() if all(v[s] == VALUES[s] for s in given)]
    rows = case.rows(values)
    _, rank = every_order(case, case.row.ids.shape[0])
    found = uncovered(tabular, tiny, random_table, rows, np.repeat(rank[2:3], len(values), axis=0))
    assert np.exp(-np.asarray(found.nats, np.float64).sum(axis=1)).sum() == pytest.approx(1, rel=1e-5)


def test_the_likeliest_document_of_an_order_is_told(case, random_table, tabular, tiny):
    """Exactly one document of those with the same condition is the likeliest at every turn."""
    given = [s for s in range(len(case.places)) if s not in case.targets]
    values = [v for v in case.all_values() if all(v[s] == VALUES[s] for s in given)]
    _, rank = every_order(case, case.row.ids.shape[0])
    found = uncovered(tabular, tiny, random_table, case.rows(values), np.repeat(rank[:1], len(values), axis=0))
    (best,) = np.flatnonzero(np.asarray(found.likeliest).all(axis=1))
    first = np.asarray(found.nats)[:, np.argmax(rank[0] == 0)]
    assert first[best] == first.min() < first.max()


def test_named_orders(case):
    rows = case.rows([VALUES] * 64)
    number = row_number(np.arange(64))
    places = case.places[list(case.targets)]
    n = len(places)
    assert (np.asarray(DRAW("forward", rows, number, 0))[:, places] == np.arange(n)).all()
    assert (np.asarray(DRAW("backward", rows, number, 0))[:, places] == np.arange(n)[::-1]).all()
    random = np.asarray(DRAW("random", rows, number, 0))
    assert (np.sort(random[:, places], axis=1) == np.arange(n)).all()
    assert len({tuple(row) for row in random[:, places].tolist()}) > math.factorial(n) // 2
    assert (np.delete(random, places, axis=1) == -1).all()
    # A function of the seed and of the document's number: neither of its neighbours nor of the length of its row.
    alone = Row(*(np.pad(array[5:6], [(0, 0), (0, 8)] + [(0, 0)] * (array.ndim - 2)) for array in rows))
    again = np.asarray(DRAW("random", alone, number[5:6], 0))
    assert (again[0, places] == random[5, places]).all()
    assert not (np.asarray(DRAW("random", rows, number, 1)) == random).all()
