"""Compiled samplers of one network: a program for each setting, layout and shape, which any parameters of it use."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from mdm.diffusion.denoiser import Denoiser
from mdm.sampling.batches import Batch
from mdm.sampling.canvas import Canvas, Layout, Request, read_canvas, read_turns
from mdm.sampling.sampler import sample
from mdm.sampling.settings import SamplerSettings
from mdm.sampling.steps import Calls
from mdm.tokens.rows import Document
from mdm.tokens.vocabulary import Vocabulary


@dataclasses.dataclass(frozen=True, eq=False)
class Sampled:
    """A batch that was written. Lists follow `Batch.numbers`.

    documents: codes of every target
    turns:     in their shapes, when each was written (see `mdm.sampling.sampler.Written`)
    sampler:   as it was used
    calls:     network calls
    compiling: seconds that it took to make the program, or to find that it was made; seconds: of all that came after
    """

    documents: list[Document]
    turns: list[Document]
    sampler: SamplerSettings
    calls: Calls
    compiling: float
    seconds: float


def merged(parts: Sequence[tuple[Sequence[int], Sampled]]) -> Sampled:
    """What was written in several batches by one sampler, as one: of each batch the numbers of its requests among all."""
    own = [part for _, part in parts]
    order = np.argsort([number for numbers, _ in parts for number in numbers]).tolist()
    documents, turns = ([one for part in own for one in getattr(part, name)] for name in ("documents", "turns"))
    return Sampled(
        [documents[place] for place in order],
        [turns[place] for place in order],
        own[0].sampler,
        jax.tree.map(lambda *calls: np.sum(calls), *(part.calls for part in own)),
        sum(part.compiling for part in own),
        sum(part.seconds for part in own),
    )


class Programs:
    """bind: parameters -> the denoiser, while a function is traced. All parameters must lie on the devices like the first."""

    def __init__(self, bind: Callable[[Any], Denoiser], vocabulary: Vocabulary):
        self._bind, self._vocabulary = bind, vocabulary
        self._lying: Any = None

    def write(
        self, parameters: Any, batch: Batch, requests: Sequence[Request], sampler: SamplerSettings, seeds: Sequence[int]
    ) -> Sampled:
        """Writes one of the batches that `requests` were put into; seeds: of every request."""
        own = [requests[number] for number in batch.numbers]
        keys = np.array([seeds[batch.numbers[row]] for row in batch.rows], np.uint32)
        begun = time.perf_counter()
        if self._lying is None:
            self._lying = jax.tree.map(_described, parameters)
        program = self._program(sampler, batch.layout, jax.tree.map(_described, batch.canvas))
        compiled = time.perf_counter()
        written = jax.device_get(program(parameters, batch.canvas, keys))
        done = time.perf_counter()
        documents = read_canvas(written.canvas, own, self._vocabulary)
        few = jax.tree.map(lambda a: a[: len(own)], written.canvas)
        turns = read_turns(few, written.turns[: len(own)], documents, self._vocabulary)
        return Sampled(documents, turns, sampler, written.calls, compiled - begun, done - compiled)

    @functools.lru_cache(maxsize=128)  # noqa: B019 - programs live as long as the process
    def _program(self, sampler: SamplerSettings, layout: Layout, shapes: Canvas) -> jax.stages.Compiled:
        def run(parameters, canvas, seeds):
            return sample(self._bind(parameters), canvas, self._vocabulary, sampler, seeds, layout)

        seeds = jax.ShapeDtypeStruct(shapes.masked.shape[:1], np.uint32)
        return jax.jit(run).lower(self._lying, shapes, seeds).compile()


def _described(array: jax.Array | np.ndarray) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(array.shape, array.dtype, sharding=getattr(array, "sharding", None))
