"""Blocks in the sampler: left to right, each over the whole grid, and in step over a batch."""

import numpy as np

from mdm.sampling.blocks import NO_BLOCK, first_block, number_blocks
from mdm.sampling.canvas import Request, build_canvas
from mdm.tokens.rows import TARGET

IMAGE = Request("text-to-image", {"text": np.array([1], np.int32)}, {"image": (2, 4)})


def test_blocks_are_counted_over_target_positions(vocabulary):
    joint = Request("joint-image-text", {}, {"text": (3,), "image": (2, 2)})
    canvas = build_canvas([joint], vocabulary, 12)
    numbers = np.asarray(number_blocks(canvas.rows, 2))
    target = canvas.rows.roles == TARGET
    np.testing.assert_array_equal(numbers[target], [0, 0, 1, 1, 2, 2, 3])
    assert (numbers[~target] == NO_BLOCK).all()
    assert (np.asarray(number_blocks(canvas.rows, 0))[target] == 0).all()


def test_the_first_block_is_where_any_row_has_something_to_write():
    numbers = np.array([[0, 0, 1, 1], [0, 0, 1, 1]])
    masked = np.array([[False, False, False, True], [False, False, True, False]])
    assert first_block(numbers, masked) == 1
    assert first_block(numbers, np.zeros_like(masked)) == NO_BLOCK
