"""A small token space and two stand-ins for a network: one that is cheap, one that knows the joint distribution."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdm.sampling.canvas import Request, build_canvas, layout_of
from mdm.sampling.sampler import sample
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
        return self.hidden_and_cache(ids, segments, positions, ranges)[0]

    def hidden_and_cache(self, ids, segments, positions, ranges):
        x = self._seen(ids, segments)
        return x + 3 * x.mean(1, keepdims=True) + self.place[positions].sum(2), x

    def hidden_of_part(self, ids, segments, positions, ranges, place, cache):
        x = self._seen(ids, segments)
        row = jax.vmap(lambda old, at, new: old.at[at].set(new, mode="drop"))(cache, place, x)
        return x + 3 * row.mean(1, keepdims=True) + self.place[positions].sum(2)

    def _seen(self, ids, segments):
        return jnp.where((segments > 0)[..., None], self.embedding[ids], 0.0)

    def logits(self, hidden, number):
        own = self.vocabulary.ranges[number]
        logits = hidden @ self.columns[own.start : own.stop].T
        return logits.at[..., -1].add(self.end_bias) if own.has_end else logits


class BayesOptimal:
    """The exact conditionals of a joint distribution over three target positions of range `number`, at places `at`."""

    def __init__(self, joint, vocabulary, number, at):
        self.own = vocabulary.ranges[number]
        self.at = jnp.asarray(at)
        for dim in range(3):  # the last index of each: masked
            joint = np.concatenate([joint, joint.sum(dim, keepdims=True)], dim)
        self.log = jnp.asarray(np.log(joint + 1e-30), jnp.float32)

    def hidden(self, ids, segments, positions, ranges):
        seen = ids[:, self.at] - self.own.start
        a, b, c = jnp.where((seen >= 0) & (seen < self.own.size), seen, self.own.size).T
        log = self.log[:-1, b, c].T, self.log[a, :-1, c], self.log[a, b, :-1]  # of what is seen and each symbol there
        return jnp.zeros((*ids.shape, self.own.size)).at[:, self.at].set(jnp.stack(log, axis=1))

    def logits(self, hidden, number):
        return hidden


def write(denoiser, canvas, vocabulary, rule, seeds):
    """`sample` as one program: operation by operation it takes three times as long to compile."""
    layout = layout_of(canvas, vocabulary)
    return jax.jit(lambda canvas, seeds: sample(denoiser, canvas, vocabulary, rule, seeds, layout))(canvas, seeds)


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
