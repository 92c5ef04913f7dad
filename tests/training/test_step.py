"""One step: what it changes, what it counts, and what it leaves alone when a number is not finite."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdm.data import pipeline
from mdm.data.pipeline import Rows
from mdm.training.loop import build_step
from mdm.training.mesh import make_mesh
from mdm.training.step import Numbers


@pytest.fixture(scope="module")
def setting(make_job):
    """(step, jitted, initial state, three batches)."""
    job = make_job()
    rows = Rows(job.data)
    step = build_step(job, rows.manifest.vocabulary, make_mesh(job.mesh, jax.devices()))
    batches = pipeline.batches(rows, 0, 8)
    found = [next(batches) for _ in range(3)]
    batches.close()
    return step, jax.jit(step), jax.jit(step.initial)(), found


def equal(a, b):
    return all(jax.tree.leaves(jax.tree.map(lambda x, y: np.array_equal(x, y), a, b)))


def test_it_is_a_pure_function(setting):
    _, run, state, (batch, *_) = setting
    assert equal(run(state, batch), run(state, batch))


def test_the_clock_goes_on_beyond_a_word(setting):
    _, run, state, (batch, *_) = setting
    low = 2**32 - 4
    after, _ = run(state._replace(rows=jnp.array([2, low], jnp.uint32)), batch)
    assert after.rows.tolist() == [3, 4]


def test_everything_moves_and_the_clock_counts_rows(setting):
    _, run, state, batches = setting
    for batch in batches:  # zero output columns: only the second step moves what lies before them
        state, _ = run(state, batch)
    assert state.rows.tolist() == [0, 24]
    assert all(bool(jnp.any(a != b)) for a, b in zip(
        jax.tree.leaves(setting[2].parameters), jax.tree.leaves(state.parameters), strict=True))  # fmt: skip


def test_another_seed_or_learning_rate_is_the_same_program(setting):
    step, *_, batches = setting
    state = jax.eval_shape(step.initial)

    def program(step):
        return jax.jit(step).lower(state, batches[0], step.numbers).as_text(), jax.jit(step.initial).lower(
            step.numbers
        ).as_text()

    other = dataclasses.replace(step, numbers=Numbers.of(seed=-7, learning_rate=0.3, ema_decay=0.0))
    assert program(step) == program(other)


def test_the_average_is_debiased(setting):
    step, run, state, batches = setting
    keep, seen, average, weight = 1 - step.numbers.newest, [], 0.0, 0.0
    for batch in batches:
        state, _ = run(state, batch)
        seen.append(np.asarray(state.parameters["embedding"], np.float64))
        average, weight = keep * average + (1 - keep) * seen[-1], keep * weight + (1 - keep)
    np.testing.assert_allclose(state.ema["embedding"], average / weight, rtol=1e-5, atol=1e-6)


def test_a_gradient_that_is_not_finite_changes_nothing_but_the_count(setting):
    _, run, state, (first, second, _) = setting
    state, _ = run(state, first)
    broken = state._replace(
        parameters=state.parameters | {"final_norm": jnp.full_like(state.parameters["final_norm"], jnp.nan)}
    )
    after, report = run(broken, second)
    assert int(report.skipped_in_a_row) == 1 and not np.isfinite(report.loss)
    names = ("rows", "parameters", "optimizer", "ema", "ema_weight")
    for name in names:
        jax.tree.map(np.testing.assert_array_equal, getattr(after, name), getattr(broken, name))
    assert float(after.window.skipped) == 1 and np.isfinite(float(after.window.loss))
    again, report = run(after._replace(parameters=state.parameters), second)
    assert int(report.skipped_in_a_row) == 0 and again.rows.tolist() == [0, 16]


def test_the_window_adds_up(setting):
    step, run, state, batches = setting
    for batch in batches:
        state, _ = run(state, batch)
    emptied, window = step.take_window(state)
    assert float(window.steps) == 3 and float(window.rows.sum()) == 24
    assert float(window.tokens) == sum(int((batch.rows.segments > 0).sum()) for batch in batches)
    assert all(not leaf.any() for leaf in jax.tree.leaves(emptied.window))
    assert emptied.parameters is state.parameters
