"""What was published is what the studies of today would run: a trial that is finished is found again, and not run twice."""

import csv
from pathlib import Path

import pytest

from mdm import studying
from mdm.studies import file
from mdm.studies.plan import plan

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "experiments/studies/results"
RESULTS = sorted(path.parent.relative_to(FOLDER).parts for path in FOLDER.rglob("table.csv"))
"""Name of a study, and its argument if it has one."""
SAMPLED = "60e26c5784eb7d60"  # fingerprint of the settings of the run that was sampled, which is not there


@pytest.mark.parametrize("results", RESULTS, ids="/".join)
def test_published_trials_keep_their_names(results, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(studying, "_mark", lambda run: SAMPLED)
    name, *argument = results
    study, base = file.load(":".join([f"experiments/studies/{name}.py", *argument]))
    if study.search:
        pytest.skip("the names of a search follow from what it tried")
    names = {trial.id for trial in plan(study, base, studying.work(study.work, None))}
    with open(FOLDER.joinpath(*results) / "table.csv", encoding="utf-8") as table:
        published = {row["id"] for row in csv.DictReader(table)}
    assert published and published <= names
