"""The studies of the house: each is planned in both sizes, and what its levels are called is what they are."""

from pathlib import Path

import pytest

from mdm import config
from mdm.studies import file
from mdm.studies.plan import plan
from tests.studies.conftest import WORK

ROOT = Path(__file__).parents[2]
SIZES = ("laptop", "pod")
TRAINED = ("batch_size", "estimators", "horizon", "learning_rate_depth", "learning_rate_width", "mixture", "multipliers",
           "multipliers_check", "scaling_law", "schedules")  # fmt: skip


def scales(name, size):
    """(levels, batch scale) of each trial."""
    study, base = file.load(f"{ROOT}/experiments/studies/{name}.py:{size}")
    return [(trial.levels, config.resolve(trial.config).job.batch_scale) for trial in plan(study, base, WORK)]


@pytest.fixture(autouse=True)
def in_the_checkout(monkeypatch):
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize("size", SIZES)
def test_kappa_is_what_a_level_says(size):
    for levels, scale in scales("horizon", size):
        assert scale.kappa == pytest.approx(float(levels["kappa"]), rel=1e-6)
    rows = {"laptop": 8, "pod": 128}[size]
    for levels, scale in scales("batch_size", size):
        kappa = int(levels["batch"]) / rows if levels["rule"] == "SDE rule" else 1.0
        assert scale.kappa == pytest.approx(kappa), levels


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", sorted(set(TRAINED) - {"horizon", "batch_size", "scaling_law"}))
def test_the_batch_rule_is_off_where_a_study_is_about_something_else(name, size):
    assert {scale.kappa for _, scale in scales(name, size)} == {1.0}
