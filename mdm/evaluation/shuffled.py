"""The same documents under the condition of another document.

What a condition is worth is the paired difference between the two. It is exact only if the condition is all that differs, so
the other document's condition takes exactly the positions of the document's own: targets stay where they are, and the noise is
the same bit for bit.

    text, sound   the partner's codes keep their length and the tail makes up the rest, as it may: a tail has a range of
                  lengths in training. Where no partner fits within that range, the nearest is cut, or has a longer tail;
                  such are counted.
    pictures      partners have pictures of the same shape. A document whose shape is its own is left out.

Partners form a permutation without a fixed point (each condition is used once), chosen at least cost among documents of similar
length; conditions that are the same, and documents of the same group, are not paired while there is another choice.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from mdm.evaluation.documents import Example
from mdm.tokens.hashing import uniform
from mdm.tokens.rows import TAIL_EXTRA, TAIL_MOST, TAIL_SLACK
from mdm.tokens.tasks import TASKS
from mdm.tokens.vocabulary import ENDING

BLOCK = 256  # documents among which partners are sought: assignment is cubic, and takes 5 ms here
_SELF, _ALIKE, _MISFIT, _TIE = 1e6, 30.0, 10.0, 1.0  # each outweighs all of the next in a pair


class Shuffled(NamedTuple):
    """own: int64 [n], indices of the examples that have a partner; partner: int64 [n], indices of theirs.

    examples: the n examples of `own`, with the condition of `partner`; reshaped: how many conditions had to be cut, or have
    a longer tail than training lays out.
    """

    own: np.ndarray
    partner: np.ndarray
    examples: list[Example]
    reshaped: int


def shuffle(examples: Sequence[Example], task: str) -> Shuffled:
    """Gives each example another one's condition. A pure function of the examples; `task` must have a condition."""
    conditions = TASKS[task].conditions
    partner = np.full(len(examples), -1)
    for block in _blocks(examples, conditions):
        rows, columns = linear_sum_assignment(_costs([examples[i] for i in block], conditions))
        partner[block[rows]] = block[columns]
    own = np.flatnonzero(partner >= 0)
    partner = partner[own]
    pairs = [_exchange(examples[i], examples[j], conditions) for i, j in zip(own, partner, strict=True)]
    return Shuffled(own, partner, [example for example, _ in pairs], sum(reshaped for _, reshaped in pairs))


def _blocks(examples: Sequence[Example], conditions: tuple[str, ...]) -> list[np.ndarray]:
    """Documents of like condition, nearest lengths together, in blocks of 2 to BLOCK. Those alone of their shape are missing."""
    kinds: dict[tuple, list[int]] = {}
    for index, example in enumerate(examples):
        shape = tuple(example.content[m].shape for m in conditions if m not in ENDING)
        kinds.setdefault(shape, []).append(index)
    found = []
    for own in kinds.values():
        own.sort(key=lambda i: (sum(_span(examples[i], m) for m in conditions), examples[i].number))
        if len(own) > 1:
            found += np.array_split(np.array(own), -(-len(own) // BLOCK))
    return found


def _costs(own: Sequence[Example], conditions: tuple[str, ...]) -> np.ndarray:
    """float64 [n, n]: cost of giving document i the condition of j."""
    misfit = np.zeros((len(own), len(own)), np.int64)
    for modality in conditions:
        if modality in ENDING:
            size = np.array([example.content[modality].size for example in own])
            tail = np.array([_span(example, modality) for example in own])[:, None] - size
            misfit += np.maximum(1 - tail, 0) + np.maximum(tail - _longest_tail(size), 0)
    same = [tuple(example.content[m].tobytes() for m in conditions) for example in own]
    alike = _equal(same) | _equal([example.group for example in own])
    number = np.array([example.number for example in own], np.uint64)
    cost = _TIE * uniform(number[:, None], number) + _ALIKE * alike + _SELF * np.eye(len(own))
    return cost + np.where(misfit > 0, _MISFIT * (1 + misfit / (1 + misfit.max())), 0)


def _equal(values: Sequence) -> np.ndarray:
    """bool [n, n]: which of the values are equal."""
    code_of = {value: index for index, value in enumerate(values)}
    code = np.array([code_of[value] for value in values])
    return code[:, None] == code


def _exchange(example: Example, partner: Example, conditions: tuple[str, ...]) -> tuple[Example, bool]:
    """`example` with its conditions replaced in place, and whether one had to be cut or stretched."""
    content, tails, reshaped = dict(example.content), dict(example.tails), False
    for modality in conditions:
        codes = partner.content[modality]
        if modality in ENDING:
            span = _span(example, modality)
            frame = codes[0].size
            codes = codes[: (span - 1) // frame]  # a tail has at least one END
            tails[modality] = span - codes.size
            reshaped |= codes.size < partner.content[modality].size or tails[modality] > _longest_tail(codes.size)
        content[modality] = codes
    return dataclasses.replace(example, content=content, tails=tails), bool(reshaped)


def _span(example: Example, modality: str) -> int:
    return example.content[modality].size + (example.tails[modality] if modality in example.tails else 0)


def _longest_tail(n: int | np.ndarray) -> np.ndarray:
    """The most ENDs that `mdm.tokens.rows.tail_length` lays out behind `n` positions."""
    return np.floor(np.minimum(TAIL_SLACK * np.asarray(n), TAIL_MOST)).astype(np.int64) + TAIL_EXTRA + 1
