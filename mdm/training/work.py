"""What a job will have to compute, before it has read a row: expected masked positions by stream, and FLOPs from them."""

from __future__ import annotations

import dataclasses

import numpy as np

from mdm.data.manifest import Manifest
from mdm.data.mixture import Mixture
from mdm.model import flops
from mdm.tokens.tasks import TASKS
from mdm.tokens.vocabulary import Vocabulary
from mdm.training.loop import Job

TEXT_SHARE = 0.1  # of a pair's positions, where no data set says it
_BATCHES = 64


@dataclasses.dataclass(frozen=True)
class Work:
    """Forward FLOPs of one row: body, the same for all; head, by stream in the order of the mixture.

    imbalance: what the replica with the most to do has over the mean, over the first batches of the run; inside a replica the
    head deals its positions evenly
    """

    body: float
    head: tuple[float, ...]
    share: tuple[float, ...]
    imbalance: float

    @property
    def row(self) -> float:
        """Of a row of the mixture."""
        return self.body + sum(share * head for share, head in zip(self.share, self.head, strict=True))


def expected_work(job: Job, vocabulary: Vocabulary, manifest: Manifest | None, replicas: int) -> Work:
    """From the mixture's first stage, the tasks and their schedules; all positions of a row are taken to be filled."""
    names = tuple(job.data.streams)
    body = flops.body(job.model, job.data.row_length)
    head = np.array([flops.head(job.model, _masked(job, name, vocabulary, manifest)) for name in names])
    stage = job.data.stages[0]
    share = np.array([stage.rows[name] if name in stage.rows else 0 for name in names]) / stage.block
    batch = job.training.batch_size
    stream, _ = Mixture(job.data.stages, names, job.data.seed).locate(
        np.arange(batch * _BATCHES) // job.corruption.views
    )
    by_replica = (body + head[stream]).reshape(_BATCHES, replicas, -1).sum(axis=2)
    imbalance = float((by_replica.max(axis=1) / by_replica.mean(axis=1)).mean())
    return Work(body, tuple(map(float, head)), tuple(map(float, share)), imbalance)


def _masked(job: Job, stream: str, vocabulary: Vocabulary, manifest: Manifest | None) -> dict[int, float]:
    """Columns of a range -> masked positions in a row of a stream."""
    tasks = job.data.streams[stream].tasks
    total, found = sum(tasks.values()), {}
    for task, probability in tasks.items():
        for modality, positions in _positions(job, stream, task, manifest).items():
            numbers = vocabulary.ranges_of(modality)
            for number in numbers:
                columns = vocabulary.ranges[number].size
                own = probability / total * positions / len(numbers) * _mean_ratio(job, task)
                found[columns] = found.get(columns, 0.0) + own
    return found


def _positions(job: Job, stream: str, task: str, manifest: Manifest | None) -> dict[str, float]:
    """Target positions of a row by modality, if it held this task alone."""
    modalities = TASKS[task].modalities
    if manifest is not None:
        content = manifest.streams[stream].content["train"]
        share = {m: content[m] / sum(content.values()) for m in modalities} if content else None
    else:
        share = None
    if share is None:
        rest = (1 - TEXT_SHARE) / max(1, len(modalities) - 1)
        share = {m: 1.0 if len(modalities) == 1 else TEXT_SHARE if m == "text" else rest for m in modalities}
    return {m: share[m] * job.data.row_length for m in TASKS[task].targets}


def _mean_ratio(job: Job, task: str) -> float:
    if job.corruption.views == 2:
        return 0.5
    u = (np.arange(1000) + 0.5) / 1000
    return float(np.mean(job.corruption.schedule_of(task).ratio(u)))
