"""What each document cost, kept beside the results that were made of it, so that checkpoints and runs can be compared in pairs.

Two figures with an error each say little about their difference: most of both errors is which documents were chosen, and that
is the same for both. Document by document it cancels, and with the same seeds much of the noise does too.

A file of them holds one JSON line for each modality of each task and split.

Letters: R repeats, N documents.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from etils import epath

from mdm import atomic
from mdm.evaluation import statistics
from mdm.evaluation.documents import Example, content_number
from mdm.fingerprint import fingerprint
from mdm.problems import Problem, Refusal
from mdm.runs.storage import OF_PATHS, answered, exists
from mdm.tokens.hashing import mix

_PLACE = ("split", "stream", "task", "modality", "what", "order")


STAMP = ("step", "config", "weights")
"""Fields that are filled in when scores are written: of which checkpoint, settings and weights they are."""


@dataclasses.dataclass(frozen=True, eq=False)
class DocumentScores:
    """Of one modality of one task, on one split of one stream.

    what, order, data, seeds: as of `mdm.evaluation.result.Result`
    documents: fingerprint of each, of where it stands in the data set and of its codes, N of them
    groups:    fingerprint of the concept of each
    targets:   int64 [N], positions that carry loss
    nats:      float64 [R, N], one estimate for each seed
    step, config, weights: as of `Result`; `write` fills them in
    """

    split: str
    stream: str
    task: str
    modality: str
    what: str
    order: str | None
    data: str
    seeds: tuple[int, ...]
    documents: tuple[str, ...]
    groups: tuple[str, ...]
    targets: np.ndarray
    nats: np.ndarray
    step: int | None = None
    config: str | None = None
    weights: str | None = None

    @property
    def place(self) -> tuple:
        """What of a checkpoint these are the scores of."""
        return tuple(getattr(self, name) for name in _PLACE)

    def to_json(self) -> dict:
        """Plain values; `from_json` of it equals this, to the last bit."""
        own = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        lists = {name: list(own[name]) for name in ("seeds", "documents", "groups")}
        return own | lists | {"targets": self.targets.tolist(), "nats": self.nats.tolist()}

    @classmethod
    def from_json(cls, value: Mapping) -> DocumentScores:
        tuples = {name: tuple(value[name]) for name in ("seeds", "documents", "groups")}
        targets, nats = np.array(value["targets"], np.int64), np.array(value["nats"], np.float64)
        if not len(tuples["documents"]) == len(tuples["groups"]) == targets.size == nats.shape[-1]:
            raise ValueError("its lists differ in length")
        return cls(**{**value, **tuples, "targets": targets, "nats": nats.reshape(-1, targets.size)})


def identity(examples: Sequence[Example]) -> dict[str, tuple[str, ...]]:
    """The fields `documents` and `groups` of some examples."""
    return {
        "documents": tuple(f"{int(mix(e.number, content_number(e.content))):016x}" for e in examples),
        "groups": tuple(fingerprint(e.group) for e in examples),
    }


def write(path: str | os.PathLike, scores: Iterable[DocumentScores], stamp: Mapping[str, Any]) -> None:
    """Adds scores to a file, in one step; those of the same place are replaced. stamp: their step, config and weights.

    Raises OSError, as `read`, if the storage fails.
    """
    path = epath.Path(path)
    own = {one.place: dataclasses.replace(one, **stamp) for one in scores}
    kept = {one.place: one for one in read_if_there(path)}
    lines = [json.dumps(one.to_json()) + "\n" for one in (kept | own).values()]
    with answered(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_text(path, "".join(lines))


def read(path: str | os.PathLike) -> list[DocumentScores]:
    """What `write` wrote. Raises Refusal for a file that is missing or damaged."""
    path = epath.Path(path)
    try:
        with answered(path):
            content = path.read_bytes()
        return [DocumentScores.from_json(json.loads(line)) for line in content.decode().split("\n") if line]
    except (*OF_PATHS, ValueError, KeyError, TypeError, RecursionError) as error:
        reason = f"holds no scores of documents ({error!r})"
        raise Refusal(Problem(str(path), None, reason, "remove it, and evaluate again")) from error


def read_if_there(path: str | os.PathLike) -> list[DocumentScores]:
    """As `read`; none if there is no such file."""
    return read(path) if exists(epath.Path(path)) else []


class Difference(NamedTuple):
    """In bits per token, over the documents that both have.

    se_noise: None where the seeds differ; se_data: by the bootstrap over concepts, see `mdm.evaluation.statistics`
    documents, groups: that are shared
    """

    bits: float
    se_noise: float | None
    se_data: float | None
    documents: int
    groups: int


def paired(a: DocumentScores, b: DocumentScores, seed: int = 0) -> Difference:
    """How far `a` lies above `b`, document by document; seed: of the bootstrap.

    Raises Refusal for scores of other tasks or modalities, and for two that share no document.
    """
    if (a.task, a.modality) != (b.task, b.modality):
        found = f"{a.task}, {a.modality} and {b.task}, {b.modality}"
        raise Refusal(Problem("scores", found, "are not of the same", "compare one task and modality with itself"))
    place = {document: number for number, document in enumerate(b.documents)}
    own = [number for number, document in enumerate(a.documents) if document in place]
    if not own:
        reason = f"share none of their {len(a.documents)} and {len(b.documents)} documents"
        raise Refusal(Problem("scores", (a.data, b.data), reason, "evaluate both on the same data set and split"))
    others = [place[a.documents[number]] for number in own]
    groups, targets = [a.groups[number] for number in own], a.targets[own]
    nats, other = a.nats[:, own], b.nats[:, others]
    if a.seeds != b.seeds:  # nothing of the noise is shared, and the number of estimates may differ
        nats, other = (one.mean(axis=0, keepdims=True) for one in (nats, other))
    found = statistics.paired_difference(nats, other, targets, groups, seed)
    return Difference(found.bits, found.se_noise, found.se_data, len(own), len(set(groups)))
