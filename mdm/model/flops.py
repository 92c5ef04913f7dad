"""Floating-point operations of the network by formula: what a model needs, whatever a program does to compute it.

A product of [a, b] and [b, c] counts 2abc. Attention counts every pair of positions of a row, in both directions (no causal
half, no discount for segments). The output head counts masked positions only, each over the columns of its own range. Norms,
rotations and the softmax are left out. Recomputation never counts: it is the program's, not the model's.
"""

from __future__ import annotations

from collections.abc import Mapping

from mdm.model.transformer import ModelSettings

TRAINING = 3  # forward, and twice as much backward: a gradient for either factor of every product


def layer_weights(model: ModelSettings) -> int:
    """Elements of the matrices of one layer."""
    return 4 * model.width * model.heads * model.head_size + 3 * model.width * model.hidden_width


def attention(model: ModelSettings, row_length: int) -> float:
    """Forward, of the scores and the mixing of one row in one layer."""
    return 4.0 * row_length * row_length * model.heads * model.head_size


def body(model: ModelSettings, row_length: int) -> float:
    """Forward, of one row of `row_length` positions through all layers."""
    return model.depth * (2.0 * row_length * layer_weights(model) + attention(model, row_length))


def head(model: ModelSettings, masked: Mapping[int, float]) -> float:
    """Forward, of the output head. masked: columns of a range -> masked positions of it."""
    return sum(2.0 * model.width * columns * count for columns, count in masked.items())
