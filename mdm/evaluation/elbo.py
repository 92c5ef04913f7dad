"""The negative ELBO of each example, over several samples and several seeds.

Letters: R repeats, N examples, M modalities.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np

from mdm.diffusion.denoiser import Denoiser
from mdm.diffusion.likelihood import elbo_sample
from mdm.evaluation.batches import batches
from mdm.evaluation.documents import Example
from mdm.tokens.rows import TARGET, Row
from mdm.tokens.vocabulary import MODALITIES, Vocabulary


class DenoiserFactory(Protocol):
    """A network without its parameters (`mdm.model.network.Network` is one)."""

    vocabulary: Vocabulary

    def bind(self, parameters: Any) -> Denoiser:
        """The denoiser with these parameters; called while a function is traced."""
        ...


class Scores(NamedTuple):
    """nats: float64 [R, N, M], each example's negative ELBO by the modality of its targets, one estimate for each seed.

    targets: int64 [N, M], target positions.
    """

    nats: np.ndarray
    targets: np.ndarray


class Scorer:
    """Scores examples with any parameters of one network: compiled once for each row length, not for each checkpoint."""

    def __init__(self, network: DenoiserFactory, samples: int):
        self.vocabulary, self.samples = network.vocabulary, samples

        def one(parameters, rows, number, seed, sample):
            return elbo_sample(network.bind(parameters), rows, number, seed, sample, samples, network.vocabulary)

        self._one = jax.jit(one)

    @property
    def compilations(self) -> int:
        return self._one._cache_size()

    def scores(
        self,
        parameters: Any,
        examples: Sequence[Example],
        task: str,
        lengths: Sequence[int],
        batch_rows: int,
        seeds: Sequence[int],
    ) -> Scores:
        """Scores of `examples` under `task`, in their order.

        The noise of an example is a function of (seed, its number, sample): neither the batch it stands in nor the length of
        its row is part of it. Sums over samples are taken in float64.
        """
        nats = np.zeros((len(seeds), len(examples), len(MODALITIES)))
        targets = np.zeros((len(examples), len(MODALITIES)), np.int64)
        for batch in batches(examples, task, self.vocabulary, lengths, batch_rows):
            # All samples of a batch are under way before the first is fetched: the device never waits for the host.
            drawn = [
                [
                    self._one(parameters, batch.rows, batch.number, np.uint32(seed), np.int32(j))
                    for j in range(self.samples)
                ]
                for seed in seeds
            ]
            count = len(batch.examples)
            nats[:, batch.examples] = np.asarray(jax.device_get(drawn), np.float64).mean(axis=1)[:, :count]
            targets[batch.examples] = target_counts(batch.rows, self.vocabulary)[:count]
        return Scores(nats, targets)


def target_counts(rows: Row, vocabulary: Vocabulary) -> np.ndarray:
    """int64 [B, M]: target positions of each row by modality."""
    modality = np.where(rows.roles == TARGET, np.array(vocabulary.modality_of_range)[rows.ranges], -1)
    return np.stack([(modality == m).sum(axis=1) for m in range(len(MODALITIES))], axis=1).astype(np.int64)
