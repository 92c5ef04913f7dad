"""How much is evaluated, and with which noise."""

from __future__ import annotations

import dataclasses

from mdm.data.manifest import SPLITS
from mdm.problems import Problem
from mdm.tokens.hashing import mix


@dataclasses.dataclass(frozen=True)
class EvaluationSettings:
    """documents:         at most so many documents (pieces, of a stream that splits its documents) of each stream and split
    samples:           stratified mask counts drawn for a document in one repeat
    repeats:           independent seeds; two or more, since the error of the noise is the spread between them
    batch_rows:        documents scored at once; changes no figure
    seed:              of the noise; does not change which documents are chosen
    splits:            of the data set
    unigram_documents: at most so many training documents are counted for the unigram baseline
    generated:         documents of each task and split whose targets are made and measured; what is read, heard or
                       described needs the extra `scorers`
    """

    documents: int = 256
    samples: int = 8
    repeats: int = 2
    batch_rows: int = 16
    seed: int = 0
    splits: tuple[str, ...] = SPLITS
    unigram_documents: int = 4096
    generated: int = 0

    def problems(self, at: str) -> list[Problem]:
        found = []
        for key, least in (
            ("documents", 1),
            ("samples", 1),
            ("repeats", 2),
            ("batch_rows", 1),
            ("unigram_documents", 1),
            ("generated", 0),
        ):
            if getattr(self, key) < least:
                found.append(Problem(f"{at}.{key}", getattr(self, key), f"below {least}", f"use {least} or more"))
        for split in self.splits:
            if split not in SPLITS:
                found.append(Problem(f"{at}.splits", split, "is not a split", f"use some of {SPLITS}"))
        if not self.splits or len(set(self.splits)) != len(self.splits):
            found.append(
                Problem(f"{at}.splits", self.splits, "is empty or names a split twice", f"use some of {SPLITS}")
            )
        return found

    @property
    def seeds(self) -> tuple[int, ...]:
        """One 31-bit seed for each repeat."""
        return tuple(int(mix(self.seed, repeat)) >> 33 for repeat in range(self.repeats))
