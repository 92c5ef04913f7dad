"""A job that trains in seconds: a network of 20,000 parameters on a synthetic data set."""

import dataclasses
from pathlib import Path

import pytest

from mdm.data.mixture import Stage
from mdm.data.pipeline import DataSettings
from mdm.data.streams import StreamSettings
from mdm.diffusion.corruption import CorruptionSettings
from mdm.diffusion.objective import ObjectiveSettings
from mdm.model.transformer import ModelSettings
from mdm.runs.checkpoint import CheckpointSettings
from mdm.training.loop import Job, TrainingSettings
from mdm.training.mesh import MeshSettings
from mdm.training.optimizer import OptimizerSettings
from tests.data import synthetic

STREAMS = {
    "text": StreamSettings({"text": 1.0}, split_documents=True),
    "image-text": StreamSettings({"text-to-image": 0.5, "image-to-text": 0.5}),
    "audio-text": StreamSettings({"text-to-speech": 0.5, "joint-audio-text": 0.5}),
}


def tiny_job(directory: Path, **changes) -> Job:
    """Fields of `changes` are settings of a room, as dicts of differences."""
    job = Job(
        data=DataSettings(str(directory), 96, STREAMS, (Stage(0, {"text": 2, "image-text": 1, "audio-text": 1}),)),
        corruption=CorruptionSettings(),
        objective=ObjectiveSettings(),
        model=ModelSettings(width=16, depth=2, head_size=8, head_chunk=64),
        optimizer=OptimizerSettings(learning_rate=1e-2, warmup_tokens=1024, ema_half_life=4096),
        training=TrainingSettings(batch_size=8, tokens=24 * 8 * 96, log_every=4),
        mesh=MeshSettings(),
        checkpoints=CheckpointSettings(every=6, latest=10),
    )
    rooms = {room: dataclasses.replace(getattr(job, room), **values) for room, values in changes.items()}
    return dataclasses.replace(job, **rooms)


@pytest.fixture(scope="session")
def make_job(tmp_path_factory):
    """`tiny_job` on a data set that all tests of a process share."""
    directory = tmp_path_factory.mktemp("data") / "set"
    synthetic.write(directory)
    return lambda **changes: tiny_job(directory, **changes)
