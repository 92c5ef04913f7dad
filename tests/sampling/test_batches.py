"""Batches: each request once, in rows that its neighbours have no part in."""

import jax
import numpy as np
import pytest

from mdm.problems import Refusal
from mdm.sampling.batches import Fit, by_length, plan_batches
from mdm.sampling.canvas import Request, build_canvas, layout_of

LENGTH = 100


def speech(text: int, frames: int) -> Request:
    return Request("text-to-speech", {"text": np.arange(text) % 7}, {"audio": (frames, 2)})


REQUESTS = [speech(3, 5), speech(3, 30), speech(4, 6), speech(30, 5), speech(5, 5), speech(2, 31), speech(4, 4)]


def plan(requests, vocabulary, most):
    return plan_batches(requests, [f"line {n}" for n in range(len(requests))], vocabulary, LENGTH, most)


@pytest.mark.parametrize("most", [1, 2, 3, 16])
def test_every_request_is_in_one_batch_and_looks_as_it_does_alone(vocabulary, most):
    batches = plan(REQUESTS, vocabulary, most)
    assert sorted(n for batch in batches for n in batch.numbers) == list(range(len(REQUESTS)))
    for batch in batches:
        assert 0 < len(batch.numbers) <= len(batch.rows) <= most
        assert (np.array(batch.layout.counts) >= layout_of(batch.canvas, vocabulary).counts).all()
        for row, place in enumerate(batch.rows):
            (alone,) = plan([REQUESTS[batch.numbers[place]]], vocabulary, 1)
            assert alone.layout == batch.layout
            jax.tree.map(lambda a, b, row=row: np.testing.assert_array_equal(a[0], b[row]), alone.canvas, batch.canvas)


def test_nothing_but_padding_is_cut_off(vocabulary):
    whole = build_canvas(REQUESTS, vocabulary, LENGTH)
    for batch in plan(REQUESTS, vocabulary, 16):
        kept = (batch.canvas.rows.segments > 0).sum(1)[: len(batch.numbers)]
        np.testing.assert_array_equal(kept, (whole.rows.segments > 0).sum(1)[list(batch.numbers)])


def test_batches_of_a_layout_are_even_and_of_one_shape(vocabulary):
    batches = plan([speech(3, 5)] * 17, vocabulary, 16)
    assert [len(batch.numbers) for batch in batches] == [9, 8]
    assert {batch.canvas.masked.shape for batch in batches} == {(9, 32)}


def test_prompts_of_about_one_length_share_a_program(vocabulary):
    batches = plan([speech(n, 12 + n // 4) for n in range(2, 15)], vocabulary, 16)
    assert [batch.canvas.masked.shape[1] for batch in batches] == [32, 48, 64]
    assert [len(batch.numbers) for batch in batches] == [1, 9, 3]


@pytest.mark.parametrize("fit", [Fit(3, 128), Fit(8, 64), Fit(1, 32)])
def test_the_machine_gets_rows_and_positions_that_it_can_take(vocabulary, fit):
    length, names = 4 * 128, [f"line {n}" for n in range(len(REQUESTS))]
    planned = plan_batches(REQUESTS, names, vocabulary, length, 4, fit)
    assert sorted(n for batch in planned for n in batch.numbers) == list(range(len(REQUESTS)))
    for batch in [*planned, *by_length(REQUESTS, vocabulary, length, 4, fit)]:
        rows, positions = batch.canvas.masked.shape
        assert rows % fit.rows == 0 and positions % fit.positions == 0
        assert rows - len(batch.numbers) < fit.rows + 4 and batch.rows[-1] == len(batch.numbers) - 1


@pytest.mark.parametrize("most", [1, 2, 3, 5, 16])
def test_those_of_like_length_are_together(vocabulary, most):
    batches = by_length(REQUESTS, vocabulary, LENGTH, most)
    alone = {batch.numbers[0]: batch.canvas.masked.shape[1] for batch in plan(REQUESTS, vocabulary, 1)}
    assert sorted(n for batch in batches for n in batch.numbers) == list(range(len(REQUESTS)))
    assert len(batches) == -(-len(REQUESTS) // most) and len({len(batch.rows) for batch in batches}) == 1
    lengths = [batch.canvas.masked.shape[1] for batch in batches]
    assert lengths == sorted(lengths) == [max(alone[n] for n in batch.numbers) for batch in batches]


def test_all_that_is_wrong_is_told_by_name(vocabulary):
    requests = [speech(3, 5), speech(3, 60), speech(3, 5), Request("text-to-image", {}, {"image": (2, 2)})]
    with pytest.raises(
        Refusal, match=r"(?s)line 1 = '.*does not fit in a row of 100.*line 3\.given\.text.*needs its text"
    ):
        plan(requests, vocabulary, 2)
