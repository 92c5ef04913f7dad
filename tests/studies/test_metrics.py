"""The names of figures are known before a trial runs; a figure that is not finite is none."""

import math

import numpy as np
import pytest

from mdm import config
from mdm.studies import metrics
from mdm.training.noise import Scatter
from tests.evaluation.test_report import result
from tests.tiny import tiny_config

COUNTS = {"parameters": 100, "body_parameters": 60, "tokens": 1000.0}


@pytest.fixture
def known():
    return metrics.names(config.resolve(tiny_config()).data.streams)


def line(step, loss, text):
    return {"step": step, "loss": loss, "elbo_bits/text": text, "elbo_bits/text/text": text, "tokens_per_second": 5.0 * step,
            "seconds": 2.0, "updates_skipped": 1.0}  # fmt: skip


def test_every_modality_and_task_has_its_figure(known):
    assert {"heldout_bits", "heldout_bits/image", "heldout_bits/joint-audio-text/text", "train_bits/audio"} <= known
    assert "heldout_bits/speech-to-text/text" not in known  # the config does not train it


def test_bits_are_weighted_by_tokens(known):
    results = [result("text", "text", bits=4.0, targets=30), result("text-to-image", "image", bits=8.0, targets=10),
               result("image-to-text", "text", bits=6.0, targets=10)]  # fmt: skip
    found = metrics.figures(known, results, [], COUNTS)
    assert found["heldout_bits"] == pytest.approx((4 * 30 + 8 * 10 + 6 * 10) / 50)
    assert found["heldout_bits/text"] == pytest.approx((4 * 30 + 6 * 10) / 40)
    assert found["heldout_bits/image-to-text/text"] == 6.0
    assert found["compute"] == 6 * 100 * 1000
    assert set(found) == known and found["heldout_bits/audio"] is None


def test_the_end_of_the_log_is_its_last_tenth(known):
    found = metrics.figures(known, [], [line(n, 100.0 - n, 50.0 - n) for n in range(1, 21)], COUNTS)
    assert found["train_loss"] == pytest.approx(80.5) and found["train_bits/text"] == pytest.approx(30.5)
    assert found["tokens_per_second"] == pytest.approx(52.5) and found["train_seconds"] == 40.0
    assert found["updates_skipped"] == 20


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_is_none(known, value):
    found = metrics.figures(known, [result("text", "text", bits=value)], [line(1, value, value)], COUNTS)
    assert found["heldout_bits"] is found["train_loss"] is found["train_bits/text"] is None


def test_noise_is_in_units_of_the_plain_estimator():
    some = lambda total, masking: Scatter(np.array(total), np.array(masking), np.array([-1.0, 0.5]))  # noqa: E731
    found = metrics.of_noise({"plain": some([3.0, 5.0], [1.0, 3.0]), "adaptive": some([1.0, 3.0], [1.0, 1.0])})
    assert found["gradient_noise/plain"] == found["masking_noise/plain"] == 1.0
    assert found["gradient_noise/adaptive"] == 0.5 and found["gradient_noise_error/adaptive"] == pytest.approx(0.25)
    assert found["masking_noise/adaptive"] == 0.5 and found["masking_noise_error/adaptive"] == 0.0
