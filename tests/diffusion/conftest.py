"""A denoiser that is a table, small enough that every mask and every order can be enumerated.

A row holds one segment with four content positions ("slots"). What the denoiser answers at a slot is an arbitrary function
of all that is visible, so nothing about the objective can come out right by luck of a smooth network.
"""

import dataclasses
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdm.tokens.rows import TARGET, Batch, Row, Segment, build_row, row_number
from mdm.tokens.tasks import TASKS
from mdm.tokens.vocabulary import Vocabulary

SLOTS = 4
RADIX = 5  # a slot shows one of at most four symbols, or a mask
TINY = Vocabulary.of({"text": (3,), "image": (3,)})  # ranges of 4 (three symbols and END) and of 3
LENGTH = 8


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TabularDenoiser:
    """A `diffusion.denoiser.Denoiser`. table: float32 [RADIX ** SLOTS, SLOTS, columns], logits by pattern and slot."""

    table: jax.Array

    def hidden(self, ids, segments, positions, ranges):
        content = jnp.asarray(ranges) >= 0
        slot = jnp.clip(jnp.cumsum(content, axis=1) - 1, 0, SLOTS - 1)
        starts = jnp.array([r.start for r in TINY.ranges])
        digit = jnp.where(ids == TINY.mask, RADIX - 1, ids - starts[ranges])
        pattern = jnp.sum(jnp.where(content, digit * RADIX**slot, 0), axis=1)
        return self.table[pattern[:, None], slot]

    def cross_entropy(self, hidden, target, ranges, weight, z_weight):
        logits = self._own_columns(hidden, ranges)
        lse = jax.nn.logsumexp(logits, axis=-1)
        chosen = ranges >= 0
        ce = jnp.where(
            chosen, lse - jnp.take_along_axis(hidden, jnp.where(chosen, target, 0)[..., None], axis=-1)[..., 0], 0.0
        )
        z = jnp.sum(jnp.where(chosen, lse**2, 0.0))
        return jnp.sum(weight * ce) + z_weight * z, jax.lax.stop_gradient(ce)

    def logits(self, hidden, number):
        own = TINY.ranges[number]
        return hidden[..., own.start : own.stop]

    @staticmethod
    def _own_columns(hidden, ranges):
        start, stop = (jnp.array([getattr(r, at) for r in TINY.ranges])[ranges][..., None] for at in ("start", "stop"))
        column = jnp.arange(hidden.shape[-1])
        return jnp.where((column >= start) & (column < stop), hidden, -jnp.inf)


@dataclasses.dataclass(frozen=True)
class Case:
    """One row layout, and the exact quantities of a table on it. `values` are symbols of the slots, from 0 in each range."""

    name: str
    row: Row

    @property
    def places(self) -> np.ndarray:
        return np.flatnonzero(self.row.ranges >= 0)

    @property
    def targets(self) -> tuple[int, ...]:
        return tuple(np.flatnonzero(self.row.roles[self.places] == TARGET).tolist())

    @property
    def ranges(self):
        return [TINY.ranges[n] for n in self.row.ranges[self.places]]

    def all_values(self):
        return list(itertools.product(*(range(r.size) for r in self.ranges)))

    def rows(self, values) -> Row:
        """Rows with these symbols, [B, SLOTS]: any symbol anywhere, ENDs included."""
        values = np.asarray(values)
        rows = Row(*(np.repeat(array[None], len(values), axis=0) for array in self.row))
        rows.ids[:, self.places] = values + [r.start for r in self.ranges]
        return rows

    def cost(self, table, values, hidden) -> float:
        """Sum over the `hidden` slots of -log p(symbol | the others), float64."""
        pattern = sum((RADIX - 1 if s in hidden else v) * RADIX**s for s, v in enumerate(values))
        return sum(self._nll(table[pattern, s], s, values[s]) for s in hidden)

    def _nll(self, logits, slot, value) -> float:
        own = np.asarray(logits[self.ranges[slot].start : self.ranges[slot].stop], np.float64)
        return float(np.logaddexp.reduce(own) - own[value])

    def costs(self, table, values) -> dict[frozenset, float]:
        subsets = itertools.chain.from_iterable(
            itertools.combinations(self.targets, k) for k in range(len(self.targets) + 1)
        )
        return {frozenset(s): self.cost(table, values, s) for s in subsets}

    def any_order(self, table, values) -> float:
        """Mean over all orders of the targets of the ordered -log likelihood, by walking every order."""
        total = 0.0
        for order in itertools.permutations(self.targets):
            for step, slot in enumerate(order):
                still_hidden = order[step:]
                pattern = sum((RADIX - 1 if s in still_hidden else v) * RADIX**s for s, v in enumerate(values))
                total += self._nll(table[pattern, slot], slot, values[slot])
        return total / math.factorial(len(self.targets))

    def conditionals(self, joint) -> np.ndarray:
        """The Bayes-optimal table of a joint distribution, float64 [sizes of the slots]."""
        table = np.zeros((RADIX**SLOTS, SLOTS, TINY.output_size))
        for digits in itertools.product(*([*range(r.size), RADIX - 1] for r in self.ranges)):
            pattern = sum(d * RADIX**s for s, d in enumerate(digits))
            seen = joint[tuple(slice(None) if d == RADIX - 1 else slice(d, d + 1) for d in digits)]
            for s, d in enumerate(digits):
                if d == RADIX - 1:
                    others = tuple(o for o in range(SLOTS) if o != s)
                    p = seen.sum(axis=others)
                    table[pattern, s, self.ranges[s].start : self.ranges[s].stop] = np.log(p / p.sum())
        return table


def _case(name: str, task: str, tails, **document) -> Case:
    return Case(name, build_row([Segment(document, TASKS[task], tails)], TINY, LENGTH))


CASES = (
    _case("one range", "text", {"text": 1}, text=np.array([0, 1, 2])),
    _case("two ranges", "joint-image-text", {"text": 1}, text=np.array([0]), image=np.array([[1, 2]])),
    _case("conditional", "text-to-image", {}, text=np.array([0]), image=np.array([[1, 2, 0]])),
)


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request) -> Case:
    return request.param


@pytest.fixture(scope="session")
def cases() -> tuple[Case, ...]:
    return CASES


@pytest.fixture(scope="session")
def tiny() -> Vocabulary:
    return TINY


@pytest.fixture(scope="session")
def random_table() -> np.ndarray:
    return np.random.default_rng(0).normal(scale=1.5, size=(RADIX**SLOTS, SLOTS, TINY.output_size)).astype(np.float32)


@pytest.fixture(scope="session")
def tabular():
    return TabularDenoiser


@pytest.fixture(scope="session")
def numbered():
    """Rows as a batch of one stream, numbered from `first`; both views of a pair share an ordinal."""

    def batch(rows: Row, first: int = 0, views: int = 1) -> Batch:
        number = first + np.arange(len(rows.ids))
        ordinal = (number // views).astype(np.uint32)
        return Batch(rows, row_number(number), np.zeros(len(number), np.int32), ordinal)

    return batch
