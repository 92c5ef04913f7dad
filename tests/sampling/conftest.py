"""A small token space and two stand-ins for a network: one that is cheap, one that knows the joint distribution."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdm.sampling.canvas import Request, build_canvas
from mdm.tokens.rows import TARGET
from mdm.tokens.vocabulary import Vocabulary


class Cheap:
    """Every position sees its own token, the mean of its segment and its place; weights are random. 8 wide."""

    def __init__(self, vocabulary, seed=0, end_bias=0.0):
        rng = np.random.default_rng(seed)
        self.vocabulary = vocabulary
        self.embedding = jnp.asarray(rng.normal(size=(vocabulary.size, 8)), jnp.float32)
        self.columns = jnp.asarray(rng.normal(size=(vocabulary.output_size, 8)), jnp.float32)
        self.place = jnp.asarray(rng.normal(size=(256, 8)), jnp.float32)
        self.end_bias = end_bias

    def hidden(self, ids, segments, positions, ranges):
        real = (segments > 0)[..., None]
        x = jnp.where(real, self.embedding[ids], 0.0)
        return x + 3 * x.mean(1, keepdims=True) + self.place[positions].sum(2)

    def logits(self, hidden, number):
        own = self.vocabulary.ranges[number]
        logits = hidden @ self.columns[own.start : own.stop].T
        return logits.at[..., -1].add(self.end_bias) if own.has_end else logits


class BayesOptimal:
    """The exact conditionals of a joint distribution over three target positions of range `number`, at places `at`."""

    def __init__(self, joint, vocabulary, number, at):
        self.own = vocabulary.ranges[number]
        self.at = jnp.asarray(at)
        n = joint.shape[0]
        table = np.zeros((n + 1,) * 3 + (3, n))  # index n: masked
        for seen in itertools.product(range(n + 1), repeat=3):
            taken = joint[tuple(slice(None) if s == n else slice(s, s + 1) for s in seen)]
            for i in range(3):
                law = taken.sum(tuple(j for j in range(3) if j != i))
                table[seen][i] = law if seen[i] == n else 1.0
        total = table.sum(-1, keepdims=True)
        self.table = jnp.asarray(np.log(table / np.maximum(total, 1e-30) + 1e-30), jnp.float32)

    def hidden(self, ids, segments, positions, ranges):
        seen = ids[:, self.at] - self.own.start
        seen = jnp.where((seen >= 0) & (seen < self.own.size), seen, self.own.size)
        logits = self.table[seen[:, 0], seen[:, 1], seen[:, 2]]
        return jnp.zeros((*ids.shape, self.own.size)).at[:, self.at].set(logits)

    def logits(self, hidden, number):
        return hidden


@pytest.fixture(scope="session")
def vocabulary():
    return Vocabulary.of({"text": (7,), "image": (9,), "audio": (5, 6)})


@pytest.fixture(scope="session")
def cheap(vocabulary):
    return lambda **changes: Cheap(vocabulary, **changes)


@pytest.fixture(scope="session")
def bayes_optimal():
    return BayesOptimal


@pytest.fixture(scope="session")
def repeat():
    """The canvas of one request, as often as wanted, and the places of its masked positions."""

    def of(request: Request, vocabulary, length, times):
        canvas = build_canvas([request], vocabulary, length)
        many = jax.tree.map(lambda a: np.repeat(a, times, axis=0), canvas)
        return many, np.flatnonzero(canvas.masked[0] & (canvas.rows.roles[0] == TARGET))

    return of
