"""One line of an evaluation, with what is needed to read it again and to make it again."""

from __future__ import annotations

import dataclasses
import datetime
import importlib.metadata
from collections.abc import Mapping, Sequence
from typing import TypeVar

import jax


@dataclasses.dataclass(frozen=True)
class Result:
    """The likelihood of one modality of one task, on one split of one stream. Figures are in bits per target token.

    step, config, time: of the checkpoint, fingerprint of the run's settings, and when it was written (UTC); see `stamped`
    what:           the measure, a name in `mdm.evaluation.task.MEASURES`
    data:           fingerprint of the manifest
    documents:      rows that were scored (pieces, where documents are split); groups: independent ones of the bootstrap
    targets:        positions that carry loss, ENDs included
    samples, seeds: mask counts a document and seed, and the seeds
    bits:           negative ELBO, an upper bound of -log2 p
    se_noise, se_data: see `mdm.evaluation.statistics`; se_data contains the noise. None if it cannot be told
    bits_per_byte:  of text, if the caller can count bytes
    unigram_bits:   cross-entropy of the same tokens under smoothed training frequencies, of `unigram_documents` documents
    uniform_bits:   under equal probabilities
    shuffled_bits:  under the condition of another document, see `mdm.evaluation.shuffled`; None for a task without one
    condition_worth_bits: shuffled minus true over the same documents with the same noise, with its own two errors
    shuffled_documents, reshaped_conditions: documents that found a partner, and those whose condition had to be cut or padded
    seconds:        for the whole task
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
    shuffled_bits: float | None = None
    condition_worth_bits: float | None = None
    condition_worth_se_noise: float | None = None
    condition_worth_se_data: float | None = None
    shuffled_documents: int = 0
    reshaped_conditions: int = 0
    step: int | None = None
    config: str | None = None
    time: str | None = None

    def to_json(self) -> dict:
        """Plain values; `from_json` of it equals this."""
        return {**dataclasses.asdict(self), "seeds": list(self.seeds), "versions": dict(self.versions)}

    @classmethod
    def from_json(cls, value: Mapping) -> Result:
        return cls(**{**value, "seeds": tuple(value["seeds"])})


Stamped = TypeVar("Stamped")


def stamped(figures: Sequence[Stamped], step: int, config: str) -> list[Stamped]:
    """Figures of one checkpoint with its step, the fingerprint of the run's settings, and the time of this call."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return [dataclasses.replace(figure, step=step, config=config, time=now) for figure in figures]


def versions(packages: Sequence[str] = ()) -> dict[str, str]:
    """Of what decides the figures; packages: of these modules too."""
    return {"jax": jax.__version__, "mdm": _version("mdm"), **{name: _version(name) for name in packages}}


def device() -> str:
    """Kind and number of the devices of this process, e.g. "cpu x1"."""
    return f"{jax.devices()[0].device_kind} x{jax.device_count()}"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"  # run from a checkout
