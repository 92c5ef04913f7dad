"""Every task has figures, and those that need nothing but the base install."""

import importlib.util

import pytest

from mdm.evaluation.measures.registry import MEASURES, QUICK
from mdm.problems import Refusal
from mdm.tokens.tasks import TASKS


@pytest.mark.parametrize("task", list(TASKS))
def test_every_target_of_every_task_has_a_quick_figure(task):
    quick = [measure for measure in QUICK if task in measure.tasks]
    measured = " ".join(measure.modality for measure in quick)
    assert all(target in measured for target in TASKS[task].targets)
    assert any(not measure.packages for measure in quick)
    names = [
        (measure.modality, figure.name) for measure in MEASURES if task in measure.tasks for figure in measure.figures
    ]
    assert len(set(names)) == len(names)


def test_what_is_measured_of_each_task():
    found = {task: {measure.name for measure in MEASURES if task in measure.tasks} for task in TASKS}
    looks, sounds = {"looks of pictures", "image distances"}, {"sound of speech", "audio distances"}
    assert found == {
        "text": {"prose", "length of texts"},
        "text-to-image": {"pictures of captions", *looks},
        "image-to-text": {"captions", "length of texts"},
        "joint-image-text": {"prose", "length of texts", "caption and picture", *looks},
        "text-to-speech": {"words of speech", "speech of texts", *sounds},
        "speech-to-text": {"transcripts", "length of texts"},
        "joint-audio-text": {"prose", "length of texts", "text and speech", "text and words heard", *sounds},
    }
    assert all(task in TASKS for measure in MEASURES for task in measure.tasks)


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for measure in MEASURES:
        if measure.packages:
            with pytest.raises(Refusal, match=rf"{measure.packages[0]}.*mdm\[scorers\]"):
                measure.require()
        else:
            measure.require()
