"""The measure "likelihood": negative ELBO of one task, beside what it has to be compared with."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mdm.evaluation import statistics
from mdm.evaluation.document_scores import DocumentScores, identity
from mdm.evaluation.documents import Example
from mdm.evaluation.elbo import Scores
from mdm.evaluation.material import Material
from mdm.evaluation.result import UNITS, Result, device, versions
from mdm.tokens.tasks import TASKS
from mdm.tokens.vocabulary import MODALITIES


@dataclasses.dataclass(frozen=True)
class Made:
    """How scores were made: fields of `Result`."""

    what: str
    seeds: tuple[int, ...]
    samples: int
    order: str | None = None


def likelihood(material: Material, stream: str, task: str, split: str, parameters: Any) -> list[Result]:
    """One result for each target modality of `task`."""
    start = time.monotonic()
    examples = material.examples(stream, split)
    scores = material.scores(parameters, examples, task)
    more = _under_shuffled_condition(material, stream, task, split, parameters, scores)
    made = Made("likelihood", material.settings.seeds, material.settings.samples)
    baselines = material.baselines(stream, task, split)
    return described(material, stream, task, split, examples, scores, baselines, start, made, more)


def described(
    material: Material,
    stream: str,
    task: str,
    split: str,
    examples: Sequence[Example],
    scores: Scores,
    baselines: Mapping[str, tuple[float, float]],
    start: float,
    made: Made,
    more: Mapping[str, Mapping[str, Any]],
) -> list[Result]:
    """Scores of examples as results, beside what they have to be compared with.

    baselines: (unigram, uniform) bits by target modality, of these examples
    start: time.monotonic() at which the work began; more: fields by target modality
    """
    groups = [example.group for example in examples]
    told, results = identity(examples), []
    for modality in TASKS[task].targets:
        nats, targets = scores.nats[:, :, MODALITIES.index(modality)], scores.targets[:, MODALITIES.index(modality)]
        estimate = statistics.bits_per_token(nats, targets, groups)
        unigram, uniform = baselines[modality]
        place = {"split": split, "stream": stream, "task": task, "modality": modality, "what": made.what}
        place |= {"order": made.order, "data": material.manifest.fingerprint, "seeds": made.seeds}
        results.append(
            Result(
                documents=len(examples),
                groups=len(set(groups)),
                targets=int(targets.sum()),
                bits=estimate.bits,
                se_noise=estimate.se_noise,
                se_data=estimate.se_data,
                unigram_bits=unigram,
                uniform_bits=uniform,
                unigram_documents=material.unigram(stream).documents,
                seconds=time.monotonic() - start,
                versions=versions(),
                device=device(),
                **_by_unit(material, modality, nats, examples),
                samples=made.samples,
                by_document=DocumentScores(**place, **told, targets=targets, nats=nats),
                **place,
                **(more[modality] if modality in more else {}),
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


def _by_unit(material: Material, modality: str, nats: np.ndarray, examples: Sequence[Example]) -> dict[str, float]:
    """Fields `bits_per_UNIT`: all bits, ENDs included, over all units: comparable between tokenizers."""
    bits = float(nats.mean(axis=0).sum()) / math.log(2)
    counted = [material.units_of(modality, example.content[modality]) for example in examples]
    totals = {unit: sum(own[unit] for own in counted if unit in own) for unit in UNITS}
    return {f"bits_per_{unit}": bits / total for unit, total in totals.items() if total}
