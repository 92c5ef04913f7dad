"""One trial: trains, scores the held-out split, and writes its figures.

A run whose loss is not finite has a result, like any other: that it diverged.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
from absl import logging

from mdm.evaluation.result import Result, device, versions
from mdm.model.network import Network
from mdm.runs import log
from mdm.runs.folder import RunFolder
from mdm.studies import metrics
from mdm.studies.folder import StudyFolder
from mdm.studies.plan import Trial
from mdm.tokens.vocabulary import Vocabulary
from mdm.training.loop import Diverged, Job

_OUTER = ("embedding", "unembedding")


@dataclasses.dataclass(frozen=True)
class Bench:
    """What a trial is done with.

    resolve: the settings of a config; only `data.streams` and `job` are read here
    train:   (settings, run folder) to the end of the budget, also from a checkpoint; raises Diverged
    score:   run folder -> results of the held-out split
    probes:  name -> (run folder -> figures), for those that the study names
    """

    resolve: Callable[[Mapping], Any]
    train: Callable[[Any, RunFolder], None]
    score: Callable[[RunFolder], Sequence[Result]]
    probes: Mapping[str, Callable[[RunFolder], Mapping[str, float]]] = dataclasses.field(default_factory=dict)


def perform(trial: Trial, folder: StudyFolder, bench: Bench, commit: str, probes: Sequence[str] = ()) -> None:
    """Runs a trial that is not finished, from where an earlier start of it was stopped.

    Raises what training raises, except for divergence. commit: of the code, for the result; probes: of the study.
    """
    if folder.read_result(trial.id) is not None:
        logging.info("%s is finished", trial)
        return
    folder.write_trial(trial)
    run, settings = folder.run_folder(trial.id), bench.resolve(trial.config)
    results: Sequence[Result] = ()
    probed: dict[str, float] = {}
    try:
        bench.train(settings, run)
        results = bench.score(run)
        reason = "" if results else "nothing was scored"
        for name in probes:
            probed |= bench.probes[name](run)
    except Diverged as error:
        reason = str(error.problems[0])
        logging.warning("%s diverged: %s", trial, reason)
    job: Job = settings.job
    vocabulary = Vocabulary.from_json(run.read_json(run.vocabulary), str(run.vocabulary))
    counts = {**sizes(Network(job.model, vocabulary)), "tokens": job.rows * job.tokens_per_row}
    known = metrics.names(settings.data.streams, probes)
    found = metrics.figures(known, results, log.read(run), counts, probed)
    folder.write_result(trial.id, {
        "metrics": found, "diverged": bool(reason) or found["heldout_bits"] is None, "reason": reason,
        "data": sorted({result.data for result in results}), "versions": versions(), "device": device(), "commit": commit,
    })  # fmt: skip


def sizes(network: Network) -> dict[str, int]:
    """parameters: all of a network; body_parameters: without embeddings and output head."""
    roles = jax.tree.leaves(network.annotations("role"))
    leaves = jax.tree.leaves(network.abstract_parameters())
    own = [(role, leaf.size) for role, leaf in zip(roles, leaves, strict=True)]
    return {
        "parameters": sum(size for _, size in own),
        "body_parameters": sum(size for role, size in own if role not in _OUTER),
    }
