"""What a model makes, measured: for every task, each figure beside that of the originals and that of the codec.

A figure of the model alone says little, and no model behind a codec can be expected to come above that codec.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from absl import logging

from mdm.data.exhibits import Exhibit
from mdm.evaluation.gallery import Maker
from mdm.evaluation.incomplete import refuse_missing
from mdm.evaluation.measures.measure import Documents, Measure
from mdm.evaluation.measures.registry import MEASURES
from mdm.evaluation.originals import Originals
from mdm.evaluation.result import device, versions
from mdm.problems import Refusal
from mdm.tokens.tasks import TASKS

BATCH = 32  # documents that are sampled at once, at most


@dataclasses.dataclass(frozen=True)
class Generated:
    """One figure of what was made for `documents` exhibits.

    stream: whose exhibits they are
    what, unit, better: see `mdm.evaluation.measures.measure.Figure`; modality: of what is measured
    model, se_data:  of the model, and its standard error over documents; None for what cannot be told, as those below
    codec, original: the same figure of the originals through the codec, and of the originals
    chance:          what media that ignore their condition get
    sampler, seeds:  how the media were made, the grid by its own name (seeds from, to)
    seconds:         that it took, of all figures of the task and split
    step, config, weights, time, made_with, checkpoint, attention, compute_dtype: as of `mdm.evaluation.result.Result`
    """

    split: str
    task: str
    modality: str
    what: str
    unit: str
    better: str
    documents: int
    model: float | None
    se_data: float | None
    codec: float | None
    original: float | None
    chance: float | None
    sampler: Mapping[str, Any]
    seeds: tuple[int, int]
    seconds: float
    versions: Mapping[str, str]
    device: str
    step: int | None = None
    config: str | None = None
    weights: str | None = None
    time: str | None = None
    made_with: str | None = None
    checkpoint: str | None = None
    stream: str | None = None
    attention: str | None = None
    compute_dtype: str | None = None

    def to_json(self) -> dict:
        """Plain values; `from_json` of it equals this."""
        return {**dataclasses.asdict(self), "seeds": list(self.seeds)}

    @classmethod
    def from_json(cls, value: Mapping) -> Generated:
        return cls(**{**value, "seeds": tuple(value["seeds"])})


def measure(
    maker: Maker,
    tasks: Sequence[str],
    originals: Originals,
    sampler: Callable[[str], Any],
    measures: Sequence[Measure] = MEASURES,
    seed: int = 0,
    stream: str | None = None,
    batch: int = BATCH,
    show: Callable[[str, str, Documents, Documents], None] = lambda task, split, originals, made: None,
) -> list[Generated]:
    """Has `maker` make the targets of the exhibits in `originals`, for every task that has a measure.

    originals: of `stream`; give the same ones for the next sampler or checkpoint of the run, and they are scored once only
    sampler:   task -> settings of its sampler (a dataclass)
    measures:  `measures.registry.QUICK` leaves out what takes long
    batch:     documents that are sampled at once; changes nothing of what is made
    show:      given what was made for each task and split (one split, of what comes from nothing), beside the originals
    A measure that lacks a package is passed over, with a warning that names the extra; the others go on. A task that is refused
    does not keep the others from being made; raises as `mdm.evaluation.task.run`.
    """
    found, problems, missing = [], [], []
    usable = [kind for kind in measures if set(kind.tasks) & set(tasks) and _usable(kind)]
    for task in tasks:
        own = [kind for kind in usable if task in kind.tasks]
        if not own:
            continue
        try:
            how = maker.resolved(task, sampler(task))
            figures = _measure(maker, task, originals, how, own, seed, batch, show)
            found += [dataclasses.replace(figure, stream=stream) for figure in figures]
        except Refusal as refusal:
            logging.error("%s is left out: %s", task, refusal)
            problems += refusal.problems
            missing.append(task)
    refuse_missing(problems, found, missing)
    return found


def _usable(measure: Measure) -> bool:
    try:
        measure.require()
    except Refusal as refusal:
        logging.warning("%s: is not measured, %s", measure.name, refusal)
        return False
    return True


def _measure(
    maker: Maker,
    task: str,
    originals: Originals,
    sampler: Any,
    measures: Sequence[Measure],
    seed: int,
    batch: int,
    show: Callable[[str, str, Documents, Documents], None],
) -> list[Generated]:
    found, splits, first = [], originals.of(task), 0
    if not splits:
        return found
    # What is made from nothing is the same for every split; else all splits are sampled together, in fewer and fuller batches.
    alone = not TASKS[task].conditions
    wanted = [max(splits.values(), key=len)] if alone else list(splits.values())
    made, seconds = _made(maker, task, [(e, seed + n) for own in wanted for n, e in enumerate(own)], sampler, batch)
    for split, exhibits in splits.items():
        part = made[first : first + len(exhibits)]
        if not alone or exhibits is wanted[0]:
            show(task, split, [exhibit.media for exhibit in exhibits], part)
        first += 0 if alone else len(exhibits)
        beside = {
            "split": split,
            "task": task,
            "documents": len(exhibits),
            "sampler": dataclasses.asdict(sampler),
            "seeds": (seed, seed + len(exhibits) - 1),
            "seconds": seconds * len(part) / len(made),
            "device": device(),
        }
        for own in measures:
            scores = own.score(part, [exhibit.media for exhibit in exhibits])
            codec, original = originals.scores(maker, task, split, own, part)
            found += [
                Generated(
                    modality=own.modality,
                    what=figure.name,
                    unit=figure.unit,
                    better=figure.better,
                    model=score.value,
                    se_data=score.error,
                    chance=score.chance,
                    codec=codec[number].value,
                    original=original[number].value,
                    versions=versions(own.packages) | dict(own.digests),
                    **beside,
                )
                for number, (figure, score) in enumerate(zip(own.figures, scores, strict=True))
            ]
    logging.info("%s: %d documents made in %.1f s, %d figures", task, len(made), seconds, len(found))
    return found


def _made(
    maker: Maker, task: str, wanted: Sequence[tuple[Exhibit, int]], sampler: Any, batch: int
) -> tuple[Documents, float]:
    """What the model makes of the conditions of some exhibits, a seed each, and the seconds it took."""
    begun = time.monotonic()
    made = []
    for start in range(0, len(wanted), batch):
        exhibits, seeds = zip(*wanted[start : start + batch], strict=True)
        requests = [
            maker.request(task, {m: e.media[m] for m in TASKS[task].conditions}, sampler.room_seed(own))
            for e, own in zip(exhibits, seeds, strict=True)
        ]
        made += [maker.decode(document) for document in maker.generate(requests, sampler, seeds).documents]
    return made, time.monotonic() - begun
