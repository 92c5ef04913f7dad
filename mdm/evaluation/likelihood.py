"""The measure "likelihood": negative ELBO of one task, beside what it has to be compared with."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np

from mdm.evaluation import statistics
from mdm.evaluation.documents import Example
from mdm.evaluation.elbo import Scores
from mdm.evaluation.material import Material
from mdm.evaluation.result import Result, device, versions
from mdm.tokens.tasks import TASKS
from mdm.tokens.vocabulary import MODALITIES


def likelihood(material: Material, stream: str, task: str, split: str, parameters: Any) -> list[Result]:
    """One result for each target modality of `task`."""
    start = time.monotonic()
    examples = material.examples(stream, split)
    scores = material.scores(parameters, examples, task)
    shuffled = _under_shuffled_condition(material, stream, task, split, parameters, scores)
    baselines = material.baselines(stream, task, split)
    settings = material.settings
    groups = [example.group for example in examples]
    results = []
    for modality in TASKS[task].targets:
        nats, targets = scores.nats[:, :, MODALITIES.index(modality)], scores.targets[:, MODALITIES.index(modality)]
        estimate = statistics.bits_per_token(nats, targets, groups)
        unigram, uniform = baselines[modality]
        results.append(
            Result(
                split=split,
                stream=stream,
                task=task,
                modality=modality,
                what="likelihood",
                data=material.manifest.fingerprint,
                documents=len(examples),
                groups=len(set(groups)),
                targets=int(targets.sum()),
                samples=settings.samples,
                seeds=settings.seeds,
                bits=estimate.bits,
                se_noise=estimate.se_noise,
                se_data=estimate.se_data,
                unigram_bits=unigram,
                uniform_bits=uniform,
                unigram_documents=material.unigram(stream).documents,
                seconds=time.monotonic() - start,
                versions=versions(),
                device=device(),
                bits_per_byte=_bits_per_byte(material, modality, nats, examples),
                **(shuffled[modality] if modality in shuffled else {}),
            )
        )
    return results


def _under_shuffled_condition(
    material: Material, stream: str, task: str, split: str, parameters: Any, true: Scores
) -> dict[str, dict]:
    """Target modality -> the fields of `Result` that tell what the condition is worth; empty where nothing can be exchanged."""
    if not TASKS[task].conditions:
        return {}
    shuffled = material.shuffled(stream, task, split)
    if not shuffled.examples:
        return {}
    other = material.scores(parameters, shuffled.examples, task)
    groups = [example.group for example in shuffled.examples]
    found = {}
    for modality in TASKS[task].targets:
        own = MODALITIES.index(modality)
        targets, nats = other.targets[:, own], other.nats[:, :, own]
        worth = statistics.paired_difference(nats, true.nats[:, shuffled.own, own], targets, groups)
        found[modality] = {
            "shuffled_bits": statistics.bits_per_token(nats, targets, groups).bits,
            "condition_worth_bits": worth.bits,
            "condition_worth_se_noise": worth.se_noise,
            "condition_worth_se_data": worth.se_data,
            "shuffled_documents": len(shuffled.examples),
            "reshaped_conditions": shuffled.reshaped,
        }
    return found


def _bits_per_byte(material: Material, modality: str, nats: np.ndarray, examples: list[Example]) -> float | None:
    """All bits of the text, ENDs included, over its bytes: comparable between tokenizers."""
    if modality != "text" or material.bytes_of is None:
        return None
    total = sum(material.bytes_of(example.content["text"]) for example in examples)
    return float(nats.mean(axis=0).sum()) / math.log(2) / total if total else None
