"""The originals of a run's tasks, and what they themselves and the codecs score: what a figure of the model stands beside."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

from absl import logging

from mdm.codecs.codec import Media
from mdm.data.exhibits import Exhibit
from mdm.evaluation.gallery import Maker
from mdm.evaluation.measures.measure import Documents, Measure, Score
from mdm.tokens.tasks import TASKS


class Originals:
    """At most `most` exhibits of each task and split. Made once for a run: every checkpoint and sampler of it is told against the
    same originals through the same codecs, so both are read, decoded, heard and scored once only
    (texts by what hangs on their amount, each time).

    exhibits: task -> originals of its stream, of all splits
    """

    def __init__(self, exhibits: Callable[[str], Sequence[Exhibit]], most: int):
        self._exhibits, self._most = exhibits, most
        self._codec: dict[tuple[str, str, str, str], Media] = {}
        self._scores: dict[tuple[str, str, Measure], tuple[Sequence[Score], Sequence[Score]]] = {}

    @functools.cache  # noqa: B019 - the originals live as long as the evaluation
    def of(self, task: str) -> dict[str, Sequence[Exhibit]]:
        """Split -> exhibits; without splits that have none."""
        every = self._exhibits(task) if self._most else ()
        splits = dict.fromkeys(exhibit.split for exhibit in every)
        found = {split: [exhibit for exhibit in every if exhibit.split == split] for split in splits}
        for split, own in found.items():
            if len(own) < self._most:
                told = "%s, %s: the data set keeps %d originals, so %d documents are made and not %d"
                logging.warning(told, task, split, len(own), len(own), self._most)
        return {split: own[: self._most] for split, own in found.items()}

    def scores(
        self, maker: Maker, task: str, split: str, measure: Measure, made: Documents
    ) -> tuple[Sequence[Score], Sequence[Score]]:
        """Of the originals through the codecs of `maker`, which are those of the run, and of the originals.

        made: of the same documents: figures that hang on how much there is are taken on as much, and anew for each `made`
        """
        originals = [exhibit.media for exhibit in self.of(task)[split]]
        groups = lambda: (self._through_codecs(maker, task, split), originals)  # noqa: E731
        if measure.beside is not None:
            return tuple(measure.beside(group, originals, made) for group in groups())
        place = task, split, measure
        if place not in self._scores:
            self._scores[place] = tuple(measure.score(group, originals) for group in groups())
        return self._scores[place]

    def _through_codecs(self, maker: Maker, task: str, split: str) -> Documents:
        return [{m: self._back(maker, e, m) for m in TASKS[task].targets} for e in self.of(task)[split]]

    def _back(self, maker: Maker, exhibit: Exhibit, modality: str) -> Media:
        """What the codec gives back of one medium, whichever tasks it is a target of."""
        place = exhibit.stream, exhibit.split, exhibit.key, modality
        if place not in self._codec:
            codes = maker.encode(modality, exhibit.media[modality])
            self._codec[place] = maker.decode({modality: codes})[modality]
        return self._codec[place]
