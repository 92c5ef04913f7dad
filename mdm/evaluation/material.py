"""What an evaluation needs besides parameters: made once, used for every checkpoint."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mdm.data.manifest import Manifest
from mdm.data.streams import StreamSettings
from mdm.evaluation.batches import row_lengths
from mdm.evaluation.documents import Example, choose
from mdm.evaluation.elbo import DenoiserFactory, Scorer, Scores
from mdm.evaluation.ordered import OrderScorer, OrderSettings
from mdm.evaluation.settings import EvaluationSettings
from mdm.evaluation.shuffled import Shuffled, shuffle
from mdm.evaluation.unigram import Unigram
from mdm.problems import Problem, Refusal, refuse_if

UnitsOf = Callable[[str, np.ndarray], Mapping[str, float]]
"""(modality, its codes in a document or in a piece of one) -> how much that is, by some of `mdm.evaluation.result.UNITS`."""


def nothing(modality: str, codes: np.ndarray) -> Mapping[str, float]:
    """The `UnitsOf` of codes that stand for nothing that could be counted."""
    return {}


class Material:
    """Documents, baselines and compiled functions of one run on one data set.

    streams:  those of the run that are to be evaluated
    orders:   of the measure "chain-rule"
    multiple: rows are laid out in multiples of so many positions, as the network's kernels want it
    Raises Refusal, before anything is read, with everything that does not fit together; documents are read when they are asked
    for, and refused where they cannot be.
    """

    def __init__(
        self,
        network: DenoiserFactory,
        manifest: Manifest,
        settings: EvaluationSettings,
        row_length: int,
        streams: Mapping[str, StreamSettings],
        units_of: UnitsOf = nothing,
        orders: OrderSettings = OrderSettings(),
        multiple: int = 1,
    ):
        refuse_if([*_problems(network, manifest, settings, streams), *orders.problems("orders")])
        self.manifest, self.settings, self.units_of, self.orders = manifest, settings, units_of, orders
        self.vocabulary = network.vocabulary
        self._streams, self._row_length, self._multiple = dict(streams), row_length, multiple
        self._scorer = Scorer(network, settings.samples)
        self._order_scorer = OrderScorer(network)
        self._examples: dict[tuple[str, str], list[Example]] = {}
        self._tried: set[tuple[str, str]] = set()

    def examples(self, stream: str, split: str) -> list[Example]:
        """Raises Refusal if these cannot be read; others go on, and they are asked for again the next time."""
        for place in itertools.product(self._streams, self.settings.splits):
            wanted = place == (stream, split)
            if place in self._examples or (place in self._tried and not wanted):
                continue
            # All streams at the first time: the same few lengths of rows, each compiled once, serve them all.
            self._tried.add(place)
            try:
                self._examples[place] = self._choose(*place)
            except Refusal:
                if wanted:
                    raise
        return self._examples[stream, split]

    def _choose(self, stream: str, split: str) -> list[Example]:
        own, most = self._streams[stream], self.settings.documents
        return choose(self.manifest, stream, own, split, most, self._row_length)

    @property
    def _lengths(self) -> tuple[int, ...]:
        needed = [example.positions for own in self._examples.values() for example in own]
        return row_lengths(needed, self._row_length, multiple=self._multiple)

    @functools.cache  # noqa: B019 - the material lives as long as the evaluation
    def shuffled(self, stream: str, task: str, split: str) -> Shuffled:
        return shuffle(self.examples(stream, split), task)

    @functools.cache  # noqa: B019
    def unigram(self, stream: str) -> Unigram:
        """Frequencies of the training split of a stream."""
        own, settings = self._streams[stream], self.settings
        counted = choose(self.manifest, stream, own, "train", settings.unigram_documents, self._row_length)
        return Unigram(counted, next(iter(own.tasks)), self.vocabulary)

    @functools.cache  # noqa: B019
    def baselines(self, stream: str, task: str, split: str) -> dict[str, tuple[float, float]]:
        """Target modality -> (unigram, uniform) bits per token."""
        return self.unigram(stream).bits(self.examples(stream, split), task)

    def scores(self, parameters: Any, examples: list[Example], task: str) -> Scores:
        settings = self.settings
        return self._scorer.scores(parameters, examples, task, self._lengths, settings.batch_rows, settings.seeds)

    def order_scores(self, parameters: Any, examples: list[Example], task: str, seeds: Sequence[int]) -> Scores:
        """By the chain rule, in one order a seed."""
        rows, order = self.settings.batch_rows, self.orders.order
        return self._order_scorer.scores(parameters, examples, task, self._lengths, rows, order, seeds).scores


def _problems(
    network: DenoiserFactory, manifest: Manifest, settings: EvaluationSettings, streams: Mapping[str, StreamSettings]
) -> list[Problem]:
    found = settings.problems("evaluation")
    if network.vocabulary != manifest.vocabulary:
        found.append(
            Problem(
                str(manifest.directory),
                manifest.vocabulary.fingerprint,
                f"its codes mean other tokens than those of the network's vocabulary {network.vocabulary.fingerprint}",
                "evaluate on a data set made with the run's codecs",
            )
        )
    for name, stream in streams.items():
        at = f"data.streams.{name}"
        found += stream.problems(at)
        if name not in manifest.streams:
            found.append(Problem(at, None, "is not in the data set", f"it has {tuple(manifest.streams)}"))
            continue
        held = manifest.streams[name]
        for split in dict.fromkeys((*settings.splits, "train")):
            if split not in held.shards or not held.documents(split):
                found.append(
                    Problem(
                        f"{manifest.directory}: stream {name}",
                        split,
                        "holds no documents",
                        "take the split out of evaluation.splits",
                    )
                )
    return found
