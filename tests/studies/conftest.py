"""A study that is planned in milliseconds, on a config that trains in seconds."""

import pytest

from mdm import config, studying
from mdm.pretraining import pretrain
from mdm.studies.study import Axis, Study
from mdm.studies.training import Training
from tests.tiny import tiny_config

WORK = Training(config.resolve, config.to_dict, pretrain, studying._score)


def tiny_study(**changes) -> Study:
    return Study(**({
        "title": "Rates", "question": "Which?", "expectation": "None.", "base": tiny_config,
        "axes": (
            Axis("width", {"16": {"model.width": 16}, "32": {"model.width": 32}}),
            Axis.of("rate", "optimizer.learning_rate", (1e-3, 1e-2, 1e-1)),
        ),
        "seeds": (0, 1), "metrics": ("heldout_bits", "train_loss"),
    } | changes))  # fmt: skip


@pytest.fixture
def work():
    return WORK
