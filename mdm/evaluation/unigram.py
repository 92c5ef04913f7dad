"""What the same target tokens cost without a model: by their training frequency, and by the size of their alphabet.

Both cover exactly the positions of the ELBO, tails of END included: a network that has only learnt frequencies must be able to
reach this figure, and none may be praised for ENDs that the baseline was not charged for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from mdm.evaluation.documents import Example
from mdm.tokens.rows import TARGET
from mdm.tokens.tasks import TASKS
from mdm.tokens.vocabulary import MODALITIES, NO_RANGE, Vocabulary


class Unigram:
    """Add-one smoothed frequencies of each output range, counted over training examples of one stream."""

    def __init__(self, examples: Iterable[Example], task: str, vocabulary: Vocabulary):
        """task: any of the stream's: it orders the tokens and changes none of them."""
        self._vocabulary = vocabulary
        counts = np.ones(vocabulary.output_size)
        self.documents = 0
        for example in examples:
            row = example.row(task, vocabulary, example.positions)
            counts += np.bincount(row.ids[row.ranges != NO_RANGE], minlength=vocabulary.output_size)
            self.documents += 1
        self._bits = np.concatenate(
            [-np.log2(counts[r.start : r.stop] / counts[r.start : r.stop].sum()) for r in vocabulary.ranges]
        )
        self._uniform = np.log2([r.size for r in vocabulary.ranges])

    def bits(self, examples: Sequence[Example], task: str) -> dict[str, tuple[float, float]]:
        """Target modality of `task` -> (unigram, uniform) bits per token: cross-entropy of the examples' target tokens."""
        total = np.zeros((len(MODALITIES), 3))
        modality_of_range = np.array(self._vocabulary.modality_of_range)
        for example in examples:
            row = example.row(task, self._vocabulary, example.positions)
            target = row.roles == TARGET
            modality = modality_of_range[row.ranges[target]]
            for column, value in enumerate((self._bits[row.ids[target]], self._uniform[row.ranges[target]], None)):
                total[:, column] += np.bincount(modality, value, len(MODALITIES))
        own = {m: total[MODALITIES.index(m)] for m in TASKS[task].targets}
        return {m: (float(unigram / count), float(uniform / count)) for m, (unigram, uniform, count) in own.items()}
