"""The coordinate check: with the parameterisation, what flows through the network after some steps is as large at any width and
depth; without it, it is not (Yang & Hu 2021; CompleteP, arXiv 2505.01618, figure on coordinates)."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdm.data import pipeline
from mdm.data.pipeline import Rows
from mdm.model import transformer
from mdm.model.parameterization import ParameterizationSettings
from mdm.training.loop import build_step
from mdm.training.mesh import make_mesh

WIDTHS, DEPTHS = (64, 128, 256, 512), (2, 4, 8, 16)
BASE = (64, 2)
STEPS = 6
BAND = 2.0
"""Largest over smallest of a coordinate across shapes that differ by 8: flat is below it, and not flat above twice of it."""


def coordinates(job, batch, rows) -> dict[str, float]:
    """Root mean square of the stream behind the last layer, and of how far it, the output of the network and the logits have
    moved, after STEPS updates on one batch."""
    vocabulary = rows.manifest.vocabulary
    mesh = make_mesh(job.mesh, jax.devices()[:1])
    step = build_step(job, vocabulary, mesh)

    def look(parameters):
        with recorded() as stream:
            bound = step.network.bind(parameters)
            r = batch.rows
            hidden = bound.hidden(r.ids, r.segments, r.positions, r.ranges)
        return {"stream": stream[-1], "hidden": hidden, "logits": bound.logits(hidden, 1)}

    look, run = jax.jit(look), jax.jit(step)
    with jax.set_mesh(mesh):
        state = jax.jit(step.initial)()
        before = look(state.parameters)
        for _ in range(STEPS):
            state, report = run(state, batch)
        after = look(state.parameters)
    assert np.isfinite(float(report.loss))
    rms = lambda x: float(jnp.sqrt(jnp.mean(jnp.square(x))))  # noqa: E731
    moved = {f"moved {name}": rms(after[name] - before[name]) for name in after}
    return moved | {"stream": rms(after["stream"])}


class recorded:
    """The values of the residual stream after each layer, while the network is traced."""

    def __enter__(self):
        self._walk, stream = transformer._walk, []

        def walk(layer, x, stacked, kept, settings):
            def noted(x, own):
                x, after = layer(x, own)
                stream.append(x)
                return x, after

            return self._walk(noted, x, stacked, kept, dataclasses.replace(settings, walk="unroll"))

        transformer._walk = walk
        return stream

    def __exit__(self, *_):
        transformer._walk = self._walk


def measured(make_job, shapes, *, on: bool) -> dict[str, float]:
    """Coordinate -> largest over smallest across `shapes`."""
    found = []
    for width, depth in shapes:
        base = BASE if on else (width, depth)
        job = make_job(
            model={"width": width, "depth": depth, "head_size": 16, "hidden": 2 * width, "walk": "scan",
                   "parameterization": ParameterizationSettings(base_width=base[0], base_depth=base[1], alpha=1.0)},
            optimizer={"learning_rate": 4e-3, "warmup_tokens": 0, "clip": 0.0},
        )  # fmt: skip
        rows = Rows(job.data)
        batches = pipeline.batches(rows, 0, 8)
        found.append(coordinates(job, next(batches), rows))
        batches.close()
    return {name: max(f[name] for f in found) / min(f[name] for f in found) for name in found[0]}


def test_two_sizes_have_the_same_coordinates(make_job):
    spread = measured(make_job, ((64, 2), (192, 6)), on=True)
    assert max(spread.values()) < BAND, spread


@pytest.mark.slow
@pytest.mark.parametrize("shapes", [[(w, 2) for w in WIDTHS], [(64, d) for d in DEPTHS]], ids=["width", "depth"])
def test_coordinates_are_flat_with_the_parameterisation_and_not_without(make_job, shapes):
    on, off = (measured(make_job, shapes, on=on) for on in (True, False))
    assert max(on.values()) < BAND, on
    assert max(off.values()) > 2 * BAND, off
