"""Scores by the chain rule: examples whose targets are uncovered one at a time, in one order a seed.

It costs as many passes of the network as an example has targets, for each order.

Letters: R orders, N examples, M modalities.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from mdm.diffusion.chain_rule import ORDERS, RANDOM, ranks, uncover
from mdm.evaluation.batches import batches
from mdm.evaluation.documents import Example
from mdm.evaluation.elbo import DenoiserFactory, Scores, target_counts
from mdm.problems import Problem
from mdm.tokens.rows import TARGET
from mdm.tokens.vocabulary import MODALITIES


@dataclasses.dataclass(frozen=True)
class OrderSettings:
    """order: a name in `mdm.diffusion.chain_rule.ORDERS`; draws: how many orders of each document (0: no chain rule, and 1 of
    an order that is not random); documents: at most so many of each task and split."""

    order: str = RANDOM
    draws: int = 0
    documents: int = 16

    def problems(self, at: str) -> list[Problem]:
        found = []
        if self.order not in ORDERS:
            found.append(Problem(f"{at}.order", self.order, "is not an order", f"use one of {tuple(ORDERS)}"))
        elif self.draws > 1 and self.order != RANDOM:
            reason = f"all draws of the order {self.order!r} are the same"
            found.append(Problem(f"{at}.draws", self.draws, reason, "use 1"))
        for key, least in (("draws", 0), ("documents", 1)):
            if getattr(self, key) < least:
                found.append(Problem(f"{at}.{key}", getattr(self, key), f"below {least}", f"use {least} or more"))
        return found


class OrderScores(NamedTuple):
    """scores: each example's -log p in nats, in one order a seed; likeliest: bool [R, N], whether every target was the symbol of
    highest probability when its turn came."""

    scores: Scores
    likeliest: np.ndarray


class OrderScorer:
    """Scores examples with any parameters of one network: compiled once for each row length and order."""

    def __init__(self, network: DenoiserFactory):
        self.vocabulary = network.vocabulary

        @functools.partial(jax.jit, static_argnames="order")
        def one(parameters, rows, number, seed, order):
            rank = ranks(order, rows, number, seed)
            return uncover(network.bind(parameters), rows, rank, network.vocabulary)

        self._one = one

    def scores(
        self,
        parameters: Any,
        examples: Sequence[Example],
        task: str,
        lengths: Sequence[int],
        batch_rows: int,
        order: str,
        seeds: Sequence[int],
    ) -> OrderScores:
        """Scores of `examples` under `task`, in their order; neither the batch nor the length of a row is part of a score."""
        nats = np.zeros((len(seeds), len(examples), len(MODALITIES)))
        targets = np.zeros((len(examples), len(MODALITIES)), np.int64)
        likeliest = np.ones((len(seeds), len(examples)), bool)
        modality_of = np.array([*self.vocabulary.modality_of_range, -1])  # NO_RANGE is the last
        for batch in batches(examples, task, self.vocabulary, lengths, batch_rows):
            drawn = [self._one(parameters, batch.rows, batch.number, np.uint32(seed), order=order) for seed in seeds]
            count = len(batch.examples)
            modality = np.where(batch.rows.roles == TARGET, modality_of[batch.rows.ranges], -1)[:count]
            for repeat, own in enumerate(jax.device_get(drawn)):
                wide = own.nats[:count].astype(np.float64)
                nats[repeat, batch.examples] = [
                    [row[where == m].sum() for m in range(len(MODALITIES))]
                    for row, where in zip(wide, modality, strict=True)
                ]
                likeliest[repeat, batch.examples] = own.likeliest[:count].all(axis=1)
            targets[batch.examples] = target_counts(batch.rows, self.vocabulary)[:count]
        return OrderScores(Scores(nats, targets), likeliest)
