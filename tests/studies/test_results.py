"""What was published is what the studies of today would run: a trial that is finished is found again, and not run twice."""

import csv
from pathlib import Path

import pytest

from mdm import studying
from mdm.studies import file
from mdm.studies.plan import plan

RESULTS = sorted((Path(__file__).parents[2] / "experiments/studies/results").iterdir())


@pytest.mark.parametrize("results", RESULTS, ids=lambda path: path.name)
def test_published_trials_keep_their_names(results, monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[2])
    study, base = file.load(f"experiments/studies/{results.name}.py")
    if study.search:
        pytest.skip("the names of a search follow from what it tried")
    names = {trial.id for trial in plan(study, base, studying.work(study.work, None))}
    with open(results / "table.csv", encoding="utf-8") as table:
        published = {row["id"] for row in csv.DictReader(table)}
    assert published and published <= names
