"""What the trials of a study do: train and score a run, or make media with one that is trained."""

from __future__ import annotations

import dataclasses
import functools
import os

from mdm import config
from mdm.data import exhibits, manifest, pipeline
from mdm.data.manifest import SPLITS
from mdm.data.pipeline import Rows
from mdm.evaluation import generated
from mdm.evaluation.originals import Originals
from mdm.evaluation.result import Result
from mdm.fingerprint import fingerprint
from mdm.pretraining import pretrain
from mdm.problems import Problem, Refusal
from mdm.runs.folder import RunFolder
from mdm.studies import metrics
from mdm.studies.sampling import Counted, Sampled, Sampling, SamplingSettings
from mdm.studies.training import Training
from mdm.studies.work import SAMPLING, TRAINING, Work
from mdm.trained import TrainedModel
from mdm.training.noise import gradient_noise

_PAIRS = 64  # of gradients, for their noise: rare draws of much noise leave an error of 15 to 35 % in one trial


def work(kind: str, data: str | None) -> Work:
    """What a study names as its `work`. data: the data set of a trial that samples, by default its run's."""
    if kind == TRAINING:
        return Training(config.resolve, config.to_dict, pretrain, _score, {"gradient-noise": _noise})
    return {SAMPLING: Sampling(_mark, functools.partial(_sample, data))}[kind]


def _score(run: RunFolder) -> list[Result]:
    model = TrainedModel.load(os.fspath(run.path))
    settings = dataclasses.replace(model.settings.evaluation, splits=SPLITS[1:])
    return model.score(manifest.load(model.settings.data.directory), settings)


def _noise(run: RunFolder) -> dict[str, float]:
    model = TrainedModel.load(os.fspath(run.path))
    job = model.settings.job
    rows = Rows(job.data)
    batches = pipeline.batches(rows, job.rows, job.training.batch_size)  # rows that it was not trained on yet
    try:
        found = gradient_noise(model.on_mesh, model.parameters, job.corruption, job.objective, batches, _PAIRS)
    finally:
        batches.close()
    return metrics.of_noise(found)


def _mark(run: str) -> str:
    folder = RunFolder(run)
    return fingerprint(folder.read_json(folder.config))


def _sample(data: str | None, own: SamplingSettings) -> Sampled:
    model = TrainedModel.load(own.run, own.step)
    prepared = manifest.load(data or model.settings.data.directory)
    streams = [name for name, stream in model.settings.data.streams.items() if own.task in stream.tasks]
    if not streams:
        raise Refusal(Problem("task", own.task, f"{own.run} was not trained on it", "take another task or run"))
    held = list(exhibits.read(prepared.directory, streams[0], own.split))[own.first : own.first + own.documents]
    if len(held) < own.documents:
        where, found = (
            f"{prepared.directory}: originals of {streams[0]}, {own.split}",
            f"{len(held)} from {own.first} on",
        )
        raise Refusal(Problem(where, found, f"{own.documents} are asked for", "ask for fewer documents, or less first"))
    shown = Originals(lambda _: held, own.documents)
    maker = Counted(model)
    figures = generated.measure(maker, (own.task,), shown, lambda _: own.sampler, own.measures, own.seed)
    return Sampled(figures, maker.network_calls, maker.part_calls, maker.seconds)
