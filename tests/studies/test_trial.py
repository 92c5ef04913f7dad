"""A trial trains, is scored, and has a result also if it diverged."""

import dataclasses

import jax
import numpy as np
import pytest

from mdm import config, studying
from mdm.model.network import Network
from mdm.problems import Refusal
from mdm.runs.folder import RunFolder
from mdm.studies import metrics
from mdm.studies import training as module
from mdm.studies.folder import StudyFolder
from mdm.studies.plan import plan
from mdm.studies.study import Axis
from mdm.studies.trial import perform
from tests.studies.conftest import WORK, tiny_study
from tests.tiny import tiny_config, write_data


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    directory = tmp_path_factory.mktemp("data") / "set"
    write_data(directory)
    return str(directory)


def trials(data, key, *values):
    axes = (Axis.of("value", key, values),)
    return plan(tiny_study(axes=axes, seeds=(0,)), tiny_config(data), WORK)


def test_a_trial_has_every_figure_it_promised(data, tmp_path):
    folder, (trial,) = StudyFolder(tmp_path), trials(data, "optimizer.learning_rate", 1e-2)
    perform(trial, folder, WORK, "abc")
    result = folder.read_result(trial.id)
    assert not result["diverged"] and result["commit"] == "abc" and len(result["data"]) == 1
    figures = result["metrics"]
    assert all(value is not None for value in figures.values()), figures
    assert 4 < figures["heldout_bits"] < 10 and figures["tokens"] == 6 * 8 * 96
    assert figures["body_parameters"] < figures["parameters"]
    (row,) = folder.finished([trial])
    assert row.value("value") == 1e-2
    perform(trial, folder, dataclasses.replace(WORK, train=None), "never called")


@pytest.mark.slow
def test_a_run_that_diverged_has_a_result(data, tmp_path):
    folder, (trial,) = StudyFolder(tmp_path), trials(data, "model.embedding_std", 1e38)  # its gradients are not finite
    perform(trial, folder, WORK, "abc")
    result = folder.read_result(trial.id)
    assert result["diverged"] and "not finite" in result["reason"]
    assert result["metrics"]["heldout_bits"] is None and result["metrics"]["parameters"] > 0


def test_a_refusal_is_no_result(data, tmp_path):
    folder, (trial,) = StudyFolder(tmp_path), trials(data, "optimizer.learning_rate", 1e-2)

    def refuse(*_):
        raise Refusal(())

    with pytest.raises(Refusal):
        perform(trial, folder, dataclasses.replace(WORK, train=refuse), "abc")
    assert folder.read_result(trial.id) is None


@pytest.mark.slow
def test_a_trial_that_was_killed_between_training_and_scoring_is_continued(data, tmp_path):
    (trial,) = trials(data, "optimizer.learning_rate", 1e-2)
    whole, part = StudyFolder(tmp_path / "whole"), StudyFolder(tmp_path / "part")
    perform(trial, whole, WORK, "abc")

    def die(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        perform(trial, part, dataclasses.replace(WORK, score=die), "abc")
    perform(trial, part, WORK, "abc")
    times = ("tokens_per_second", "train_seconds", "eval_seconds")
    figures = [{k: v for k, v in f.read_result(trial.id)["metrics"].items() if k not in times} for f in (whole, part)]
    assert figures[0] == figures[1]


def test_sizes_are_those_of_the_parameters(vocabulary):
    settings = config.resolve(tiny_config()).model
    network = Network(settings, vocabulary)
    own = network.initial_parameters(0)
    found = module.sizes(network)
    assert found["parameters"] == sum(np.size(leaf) for leaf in jax.tree.leaves(own))
    outer = settings.width * (vocabulary.size + vocabulary.output_size)
    assert 0 <= found["parameters"] - outer - found["body_parameters"] <= 8 * settings.width
    assert RunFolder  # the folder of a trial is a run folder


@pytest.mark.slow
def test_a_probe_adds_its_figures(data, tmp_path, monkeypatch):
    monkeypatch.setattr(studying, "_PAIRS", 3)
    folder, (trial,) = StudyFolder(tmp_path), trials(data, "optimizer.learning_rate", 1e-2)
    work = dataclasses.replace(WORK, probes={"gradient-noise": studying._noise})
    perform(trial, folder, work, "abc", ("gradient-noise",))
    figures = folder.read_result(trial.id)["metrics"]
    assert all(figures[name] > 0 for name in metrics.NOISE), figures
