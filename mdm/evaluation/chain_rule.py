"""The measure "chain-rule": the likelihood in given orders, and of their mixture. See `mdm.diffusion.chain_rule`."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
from scipy.special import logsumexp

from mdm.evaluation.likelihood import Made, described
from mdm.evaluation.material import Material
from mdm.evaluation.result import Result
from mdm.tokens.hashing import mix
from mdm.tokens.tasks import TASKS
from mdm.tokens.vocabulary import MODALITIES

BESIDE = "likelihood-of-the-same"
"""`Result.what` of the ELBO that stands beside the chain rule."""


def chain_rule(material: Material, stream: str, task: str, split: str, parameters: Any) -> list[Result]:
    """One result for each target modality of `task`, of `material.orders.documents` of its examples, and behind them as many
    `BESIDE`: the ELBO of the very same documents. It is what the mean over random orders estimates too, so that both agree within
    their noise; the mixture is at or below that mean. The measure "likelihood" is of more documents, and tells neither."""
    start = time.monotonic()
    own = material.orders
    least = sorted(material.examples(stream, split), key=lambda example: example.number)[: own.documents]
    seeds = order_seeds(material.settings.seed, own.draws)
    scores = material.order_scores(parameters, least, task, seeds)
    targets = TASKS[task].targets
    more = {}
    if len(targets) == 1:
        column = MODALITIES.index(targets[0])
        mixture = mixture_nats(scores.nats[:, :, column]).sum() / math.log(2) / scores.targets[:, column].sum()
        more = {targets[0]: {"mixture_bits": float(mixture)}}
    baselines = material.unigram(stream).bits(least, task)
    made = Made("chain-rule", seeds, 1, own.order)
    ordered = described(material, stream, task, split, least, scores, baselines, start, made, more)
    start = time.monotonic()
    elbo = material.scores(parameters, least, task)
    made = Made(BESIDE, material.settings.seeds, material.settings.samples)
    return ordered + described(material, stream, task, split, least, elbo, baselines, start, made, {})


def order_seeds(seed: int, draws: int) -> tuple[int, ...]:
    """One 31-bit seed for each order; none of the ELBO's."""
    return tuple(int(mix(seed, draw, 1)) >> 33 for draw in range(draws))


def mixture_nats(nats: np.ndarray) -> np.ndarray:
    """[R, N] -> [N]: -log of the mean probability over R orders."""
    return math.log(len(nats)) - logsumexp(-nats, axis=0)
