"""The work of most studies: a model is trained, and the held-out split scored."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any

import jax

from mdm.evaluation.result import Result
from mdm.model.network import Network
from mdm.runs import log
from mdm.runs.folder import RunFolder
from mdm.studies import metrics
from mdm.studies.work import Outcome
from mdm.tokens.vocabulary import Vocabulary
from mdm.training.health import Diverged
from mdm.training.loop import Job

_OUTER = ("embedding", "unembedding")
_ASIDE = ("prepare", "guards")  # rooms that change no figure of a trial
_LATER = {
    "drop_long": False
}  # settings of a stream that once were not there, with what was done then: trials keep their names
_ELSEWHERE = "data.directory"  # where the data lie is no part of what is trained, unless the study varies it


@dataclasses.dataclass(frozen=True)
class Training:
    """A `studies.work.Work`; its fields are what it needs from above.

    resolve, to_dict: of configs; only `data.streams` and `job` of the settings are read here
    train:   (settings, run folder) to the end of the budget, also from a checkpoint; raises Diverged
    score:   run folder -> results of the held-out split
    probes:  name -> (run folder -> figures), for those that the study names
    """

    resolve: Callable[[Mapping], Any]
    to_dict: Callable[[Any], dict]
    train: Callable[[Any, RunFolder], None]
    score: Callable[[RunFolder], Sequence[Result]]
    probes: Mapping[str, Callable[[RunFolder], Mapping[str, float]]] = dataclasses.field(default_factory=dict)

    def identity(self, value: Mapping, overrides: Container[str]) -> dict:
        """All settings but those of preparation, of the guards, and where the data lie."""
        own = {room: part for room, part in value.items() if room not in _ASIDE}
        if _ELSEWHERE not in overrides:
            own["data"] = {key: part for key, part in own["data"].items() if key != "directory"}
        streams = {name: _as_before(stream) for name, stream in own["data"]["streams"].items()}
        return own | {"data": own["data"] | {"streams": streams}}

    def names(self, settings: Any, probes: Sequence[str]) -> set[str]:
        """See `mdm.studies.metrics`."""
        return metrics.names(settings.data.streams, probes)

    def perform(self, settings: Any, run: RunFolder, probes: Sequence[str]) -> Outcome:
        """Raises what training raises, except for divergence: that is an outcome."""
        results: Sequence[Result] = ()
        probed: dict[str, float] = {}
        try:
            self.train(settings, run)
            results = self.score(run)
            reason = "" if results else "nothing was scored"
            for name in probes:
                probed |= self.probes[name](run)
        except Diverged as error:
            reason = str(error.problems[0])
        job: Job = settings.job
        vocabulary = Vocabulary.from_json(run.read_json(run.vocabulary), str(run.vocabulary))
        counts = {**sizes(Network(job.model, vocabulary)), "tokens": job.rows * job.tokens_per_row}
        found = metrics.figures(self.names(settings, probes), results, log.read(run), counts, probed)
        if not reason and found["heldout_bits"] is None:
            reason = "the held-out loss is not finite"
        return Outcome(found, reason, tuple(sorted({result.data for result in results})))


def sizes(network: Network) -> dict[str, int]:
    """parameters: all of a network; body_parameters: without embeddings and output head."""
    roles = jax.tree.leaves(network.annotations("role"))
    leaves = jax.tree.leaves(network.abstract_parameters())
    own = [(role, leaf.size) for role, leaf in zip(roles, leaves, strict=True)]
    return {
        "parameters": sum(size for _, size in own),
        "body_parameters": sum(size for role, size in own if role not in _OUTER),
    }


def _as_before(stream: Mapping) -> dict:
    return {key: value for key, value in stream.items() if key not in _LATER or value != _LATER[key]}
