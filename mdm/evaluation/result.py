"""One line of an evaluation, with what is needed to read it again and to make it again."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import importlib.metadata
from collections.abc import Mapping, Sequence
from typing import Any

import jax

from mdm import checkout
from mdm.evaluation import document_scores
from mdm.evaluation.document_scores import DocumentScores

_MOST_BITS = 1000.0  # a float ends at 2**1024

UNITS = ("byte", "character", "picture", "second")
"""What bits are also told by: `Result.bits_per_UNIT`."""


@dataclasses.dataclass(frozen=True)
class Result:
    """The likelihood of one modality of one task, on one split of one stream. Figures are in bits per target token.

    what:           the measure, a name in `mdm.evaluation.task.MEASURES`, or `mdm.evaluation.chain_rule.BESIDE`
    data:           fingerprint of the manifest
    documents:      rows that were scored (pieces, where documents are split); groups: independent ones of the bootstrap
    targets:        positions that carry loss, ENDs included
    samples, seeds: mask counts a document and seed, and the seeds
    bits:           negative ELBO, an upper bound of -log2 p
    se_noise, se_data: see `mdm.evaluation.statistics`; se_data contains the noise. None if it cannot be told
    bits_per_byte, bits_per_character: of text, and bits_per_second: of speech, if the caller can count them; all bits are
                    charged to them, those of ENDs included; bits_per_picture: of the mean picture
    unigram_bits:   cross-entropy of the same tokens under smoothed training frequencies, of `unigram_documents` documents
    uniform_bits:   under equal probabilities
    shuffled_bits:  under the condition of another document, see `mdm.evaluation.shuffled`; None for a task without one
    condition_worth_bits: shuffled minus true over the same documents with the same noise, with its own two errors
    shuffled_documents, reshaped_conditions: documents that found a partner, and those whose condition had to be cut or padded
    seconds:        for the whole task
    order:          of the measure "chain-rule": in which the targets were uncovered, one seed an order; `bits` is the mean over
                    the orders. An ELBO has none
    mixture_bits:   -log2 of the mean probability over the orders: a tighter upper bound, which falls with their number. None
                    for a task of several targets, whose documents it would have to be told of as a whole
    by_document:    what each document cost, from which all errors follow; not part of the line, see `document_scores.write`
    step, config, weights, time: checkpoint, fingerprint of the run's settings, "ema" or "parameters", and when this was
                    written (UTC); attention, compute_dtype: kernel and type that the network ran with here; made_with:
                    fingerprint of the `mdm.evaluation.made_with` of its part; checkpoint: mark of that of the step, which may be
                    written again under its number. Filled in when it is written; the last two only in the folder of a run
    """

    split: str
    stream: str
    task: str
    modality: str
    what: str
    data: str
    documents: int
    groups: int
    targets: int
    samples: int
    seeds: tuple[int, ...]
    bits: float
    se_noise: float | None
    se_data: float | None
    unigram_bits: float
    uniform_bits: float
    unigram_documents: int
    seconds: float
    versions: Mapping[str, str]
    device: str
    bits_per_byte: float | None = None
    bits_per_character: float | None = None
    bits_per_picture: float | None = None
    bits_per_second: float | None = None
    shuffled_bits: float | None = None
    condition_worth_bits: float | None = None
    condition_worth_se_noise: float | None = None
    condition_worth_se_data: float | None = None
    shuffled_documents: int = 0
    reshaped_conditions: int = 0
    order: str | None = None
    mixture_bits: float | None = None
    step: int | None = None
    config: str | None = None
    weights: str | None = None
    time: str | None = None
    made_with: str | None = None
    checkpoint: str | None = None
    attention: str | None = None
    compute_dtype: str | None = None
    by_document: DocumentScores | None = dataclasses.field(default=None, compare=False, repr=False)

    @property
    def perplexity(self) -> float:
        """2 to the bits per token: how many equally likely tokens would cost as much."""
        return 2.0 ** min(self.bits, _MOST_BITS)

    def stamped(self, stamp: Mapping[str, Any]) -> Result:
        """With these fields, those of `document_scores.STAMP` in `by_document` too."""
        own = {name: stamp[name] for name in document_scores.STAMP}
        costs = None if self.by_document is None else dataclasses.replace(self.by_document, **own)
        return dataclasses.replace(self, **stamp, by_document=costs)

    def to_json(self) -> dict:
        """Plain values; `from_json` of it equals this, without `by_document`."""
        value = dataclasses.asdict(dataclasses.replace(self, by_document=None))
        del value["by_document"]
        value = {**value, "seeds": list(self.seeds), "versions": dict(self.versions)}
        return {**value, "perplexity": self.perplexity}

    @classmethod
    def from_json(cls, value: Mapping) -> Result:
        """Of this version, or of an earlier one, which lacks what has a default."""
        own = {key: part for key, part in value.items() if key != "perplexity"}
        return cls(**{**own, "seeds": tuple(own["seeds"])})


def versions(packages: Sequence[str] = ()) -> dict[str, str]:
    """Of what decides the figures, with the commit of our own code; packages: of these modules too."""
    own = {"jax": jax.__version__, "mdm": _version("mdm"), "commit": _commit()}
    return {**own, **{name: _version(name) for name in packages}}


def device() -> str:
    """Kind and number of the devices of this process, e.g. "cpu x1"."""
    return f"{jax.devices()[0].device_kind} x{jax.device_count()}"


def now() -> str:
    """UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


@functools.cache
def _commit() -> str:
    return checkout.commit()


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"  # run from a checkout
