"""A search finds a low point, goes on where it was stopped, and names what is missing."""

import dataclasses
import math

import pytest

from mdm.problems import Refusal
from mdm.studies import search as module
from mdm.studies.folder import StudyFolder
from mdm.studies.plan import plan
from mdm.studies.search import Searcher
from mdm.studies.study import Axis, Search
from tests.studies.conftest import WORK, tiny_study
from tests.tiny import tiny_config

SEARCH = Search("search", {"optimizer.learning_rate": (1e-4, 1e0)}, 8, "heldout_bits")


class Killed(Exception):
    pass


class Work:
    """Performs trials whose loss is lowest at a learning rate of 0.01."""

    def __init__(self, folder, kill_at=None, fail_at=None):
        self.folder, self.kill_at, self.fail_at, self.done = folder, kill_at, fail_at, []

    def __call__(self, trials):
        for trial in trials:
            if len(self.done) == self.kill_at:
                raise Killed
            self.done.append(trial.id)
            if len(self.done) - 1 == self.fail_at:
                continue
            rate = trial.config["optimizer"]["learning_rate"]
            value = None if rate > 0.5 else math.log10(rate / 1e-2) ** 2
            self.folder.write_trial(trial)
            self.folder.write_result(trial.id, {"metrics": {"heldout_bits": value}, "diverged": value is None})


def searcher(path, study):
    folder = StudyFolder(path)
    folder.create()
    return Searcher(study.search, plan(study, tiny_config(), WORK), folder, WORK), folder


@pytest.fixture
def study():
    pytest.importorskip("optuna")
    return tiny_study(
        axes=(Axis("width", {"16": {"model.width": 16}, "32": {"model.width": 32}}),), seeds=(0,), search=SEARCH
    )


def rows(own, folder):
    return [(row.id, dict(row.levels), dict(row.metrics)) for row in folder.finished(own.trials())]


def test_each_start_has_its_search(study, tmp_path):
    own, folder = searcher(tmp_path, study)
    own.run(Work(folder))
    found = rows(own, folder)
    assert len(found) == 18 and [levels["search"] for _, levels, _ in found[:9]] == [str(n) for n in range(9)]
    rates = [trial.config["optimizer"]["learning_rate"] for trial in own.trials()]
    assert all(1e-4 <= rate <= 1 for rate in rates) and len(set(rates)) >= 9
    assert rates[0] == rates[9] == tiny_config()["optimizer"]["learning_rate"]  # each begins with what there is


def test_one_search_asks_for_as_many_as_may_run(study, tmp_path):
    own, folder = searcher(tmp_path / "whole", dataclasses.replace(study, keep=[{"width": "16"}]))
    work, sizes = Work(folder), []

    def perform(trials):
        sizes.append(len(trials))
        work(trials)

    own.run(perform, at_once=4)
    assert sizes == [4, 4, 1]
    expected = rows(own, folder)
    for at in (2, 5):  # killed within a round
        part, folder = searcher(tmp_path / f"part{at}", dataclasses.replace(study, keep=[{"width": "16"}]))
        with pytest.raises(Killed):
            part.run(Work(folder, kill_at=at), at_once=4)
        part.run(Work(folder), at_once=4)
        assert rows(part, folder) == expected


def test_a_search_that_was_finished_without_its_start_gets_it(study, tmp_path, monkeypatch):
    own, folder = searcher(tmp_path, dataclasses.replace(study, keep=[{"width": "16"}]))
    own._studies[0][1].enqueue_trial({"optimizer.learning_rate": 0.5})
    own.run(Work(folder))
    rates = [trial.config["optimizer"]["learning_rate"] for trial in own.trials()]
    assert tiny_config()["optimizer"]["learning_rate"] in rates and len(rates) == 9


@pytest.mark.parametrize("at", [3, *(pytest.param(at, marks=pytest.mark.slow) for at in (0, 7, 12))])
def test_a_search_that_was_killed_ends_as_if_it_had_not_been(study, tmp_path, at):
    whole, folder = searcher(tmp_path / "whole", study)
    whole.run(Work(folder))
    expected = rows(whole, folder)
    part, folder = searcher(tmp_path / "part", study)
    first = Work(folder, kill_at=at)
    with pytest.raises(Killed):
        part.run(first)
    again, folder = searcher(tmp_path / "part", study)
    second = Work(folder)
    again.run(second)
    assert rows(again, folder) == expected
    assert {trial.id for trial in again.trials()} == {name for name, *_ in expected}


def test_a_trial_that_failed_stops_its_search_and_is_tried_again(study, tmp_path):
    own, folder = searcher(tmp_path, study)
    own.run(Work(folder, fail_at=2))  # the second of the first search
    assert len(rows(own, folder)) == 1 + 9
    again, folder = searcher(tmp_path, study)
    again.run(Work(folder))
    assert len(rows(again, folder)) == 18


def test_suggestions_gather_at_the_low_point(study, tmp_path):
    long = dataclasses.replace(study, search=dataclasses.replace(SEARCH, trials=30), keep=[{"width": "16"}])
    own, folder = searcher(tmp_path, long)
    own.run(Work(folder))
    values = [metrics["heldout_bits"] for *_, metrics in rows(own, folder)]
    far = lambda some: sorted(4.0 if value is None else value for value in some)[len(some) // 2]  # noqa: E731
    assert far(values[15:]) < far(values[:7])


def test_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Refusal, match=r"mdm\[studies\]"):
        module.require()
