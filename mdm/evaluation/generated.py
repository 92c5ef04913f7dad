"""What a model makes, measured: pictures by retrieval, speech by the words that are heard in it.

A figure of the model alone says little, so each stands beside that of the originals and that of the codec, above which no
model behind that codec can be expected to come.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from absl import logging

from mdm.codecs import recognition
from mdm.codecs.codec import Media
from mdm.data.exhibits import Exhibit
from mdm.evaluation.gallery import Maker
from mdm.evaluation.retrieval import ranks
from mdm.evaluation.statistics import ratio
from mdm.problems import Refusal
from mdm.tokens.tasks import TASKS

BATCH = 32  # documents that are sampled at once


@dataclasses.dataclass(frozen=True)
class Generated:
    """One figure of what was made for the conditions of `documents` exhibits.

    what:            the figure, for people
    model, se_data:  of the model, and its standard error over documents (None for a single one)
    codec, original: the same figure of the originals through the codec, and of the originals
    chance:          what media that ignore their condition get; None where it cannot be told
    sampler, seeds:  how the media were made (seeds from, to); seconds: for the task and split
    step:            of the checkpoint; the caller fills it in
    """

    split: str
    task: str
    what: str
    documents: int
    model: float
    se_data: float | None
    codec: float
    original: float
    chance: float | None
    sampler: Mapping[str, Any]
    seeds: tuple[int, int]
    seconds: float
    step: int | None = None

    def to_json(self) -> dict:
        """Plain values."""
        return dataclasses.asdict(self)


class Counts(NamedTuple):
    """A figure as a ratio of sums over documents: what is counted, float [N], of how many, float [N]."""

    counted: np.ndarray
    of: np.ndarray


class Figure(NamedTuple):
    what: str
    model: Counts
    codec: Counts
    original: Counts
    chance: float | None


Documents = Sequence[Mapping[str, Media]]


def _pictures(originals: Documents, codec: Documents, made: Documents) -> list[Figure]:
    own, ones = [media["image"] for media in originals], np.ones(len(originals))
    nearer = [ranks([media["image"] for media in group], own) for group in (made, codec, originals)]
    return [
        Figure(f"{title} among {len(own)}", *(Counts((n < most) * 1.0, ones) for n in nearer), min(1, most / len(own)))
        for title, most in (("own picture is nearest", 1), ("own picture is one of the nearest ten", 10))
    ]


def _speech(originals: Documents, codec: Documents, made: Documents) -> list[Figure]:
    said = [recognition.words(media["text"]) for media in originals]
    heard = [recognition.transcribe([media["audio"] for media in group]) for group in (made, codec, originals)]
    return [Figure("word error rate", *(Counts(*recognition.word_errors(said, words)) for words in heard), None)]


class Measure(NamedTuple):
    """figures: (originals, originals through the codec, what the model made, of the same documents in order) -> figures;
    require: raises Refusal if a package that it needs is missing."""

    figures: Callable[[Documents, Documents, Documents], list[Figure]]
    require: Callable[[], None] = lambda: None


MEASURES = {"text-to-image": Measure(_pictures), "text-to-speech": Measure(_speech, recognition.require)}
"""By task."""


def measure(
    maker: Maker,
    tasks: Sequence[str],
    exhibits: Callable[[str], Sequence[Exhibit]],
    sampler: Callable[[str], Any],
    most: int,
    seed: int = 0,
) -> list[Generated]:
    """Has `maker` make the targets of at most `most` exhibits of each split, for every task that has a measure.

    exhibits: task -> originals of its stream, of both splits; sampler: task -> settings of its sampler (a dataclass).
    A task whose measure lacks a package is passed over, with a warning that names the extra.
    """
    found = []
    for task in tasks:
        if task not in MEASURES or not most:
            continue
        try:
            MEASURES[task].require()
        except Refusal as refusal:
            logging.warning("what %s makes is not measured: %s", task, refusal)
            continue
        every = exhibits(task)
        for split in dict.fromkeys(exhibit.split for exhibit in every):
            own = [exhibit for exhibit in every if exhibit.split == split][:most]
            found += _measure(maker, task, split, own, sampler(task), seed)
    return found


def _measure(maker: Maker, task: str, split: str, own: Sequence[Exhibit], sampler: Any, seed: int) -> list[Generated]:
    begun = time.monotonic()
    made, codec = [], []
    for start in range(0, len(own), BATCH):
        part = own[start : start + BATCH]
        requests = [maker.request(task, {m: e.media[m] for m in TASKS[task].conditions}, {}, {}) for e in part]
        documents = maker.generate(requests, sampler, range(seed + start, seed + start + len(part)))
        made += [maker.decode(document) for document in documents]
        codec += [maker.decode({m: maker.encode(m, e.media[m]) for m in TASKS[task].targets}) for e in part]
    figures = MEASURES[task].figures([exhibit.media for exhibit in own], codec, made)
    seconds = time.monotonic() - begun
    found = []
    for figure in figures:
        model, error = ratio(*figure.model)
        beside = {name: ratio(*counts)[0] for name, counts in (("codec", figure.codec), ("original", figure.original))}
        logging.info("%s, %s: %s %.3f, %s", split, task, figure.what, model, beside)
        found.append(
            Generated(
                split=split, task=task, what=figure.what, documents=len(own), model=model, se_data=error,
                chance=figure.chance, sampler=dataclasses.asdict(sampler), seeds=(seed, seed + len(own) - 1),
                seconds=seconds, **beside,
            )
        )  # fmt: skip
    return found
