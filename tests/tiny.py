"""A run that trains in seconds, as a config: for tests of binaries and of whole runs."""

from pathlib import Path

from mdm import config
from mdm.codecs.text_bytes import Bytes
from tests.data import synthetic


def tiny_config(directory: str = "") -> dict:
    """A config of 20,000 parameters and 6 steps, over the synthetic data set of tests/data/synthetic.py."""
    c = config.base()
    c.data.directory = directory
    c.data.row_length = 96
    c.data.streams = {
        "text": config.stream({"text": 1.0}, split_documents=True),
        "image_text": config.stream({"text_to_image": 0.5, "image_to_text": 0.5}),
        "audio_text": config.stream({"text_to_speech": 0.5, "joint_audio_text": 0.5}),
    }
    c.data.stages = [config.stage(text=2, image_text=1, audio_text=1)]
    c.model.update({"width": 16, "depth": 1, "head_size": 8, "head_chunk": 64})
    c.optimizer.update({"learning_rate": 1e-2, "warmup_tokens": 1024, "ema_half_life": 1024})
    c.training.update({"batch_size": 8, "tokens": 6 * 8 * 96, "log_every": 2, "most_skipped": 2})
    c.checkpoints.every = 3
    c.evaluation.update({"documents": 4, "samples": 1, "batch_rows": 4})
    return c.to_dict()


def write_data(directory: Path) -> None:
    """The synthetic data set, with a codec that can count bytes."""
    synthetic.write(directory)
    Bytes().save(directory / "codecs" / "text")
