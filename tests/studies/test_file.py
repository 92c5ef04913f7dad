"""The file of a study: refused with a reason, and those that ship are whole."""

import pytest

from mdm.problems import Refusal
from mdm.studies import file
from mdm.studies.plan import plan
from mdm.studies.sampling import Sampling
from mdm.studies.work import SAMPLING, TRAINING
from mdm.tokens.tasks import TASK_NAMES
from tests.studies.conftest import WORK
from tests.test_config import ROOT

SHIPPED = [
    (path, argument)
    for path in sorted((ROOT / "experiments" / "studies").glob("*.py"))
    for argument in (TASK_NAMES if path.stem == "samplers" else ("", "pod"))
]


@pytest.mark.parametrize(("path", "argument"), SHIPPED, ids=lambda part: getattr(part, "stem", part))
def test_the_studies_that_ship_can_be_planned(path, argument, monkeypatch):
    monkeypatch.chdir(ROOT)  # a base is named from the root of the checkout, as --config is
    study, base = file.load(f"{path}:{argument}" if argument else str(path))
    works = {TRAINING: WORK, SAMPLING: Sampling(lambda run: "the run", None)}
    assert plan(study, base, works[study.work])


@pytest.mark.parametrize(
    "text, argument, told",
    [
        ("x = 1", "", "has no function get_study"),
        ("def get_study(): return 3", "", "gives a int"),
        ("import sys; sys.exit(3)", "", r"cannot be run \(SystemExit\(3\) at .*study.py:1"),
        ("def f(:", "", "cannot be run"),
        ("def get_study(size):\n    return {'pod': 1}[size]", ":moon", r"KeyError\('moon'\) at .*study.py:2"),
        ("def get_study(): return 3", ":pod", "takes 0 positional"),
    ],
)
def test_a_file_that_cannot_be_used_is_told(tmp_path, text, argument, told):
    (tmp_path / "study.py").write_text(text)
    with pytest.raises(Refusal, match=told):
        file.load(f"{tmp_path}/study.py{argument}")


def test_a_base_that_is_not_there_is_told(tmp_path):
    (tmp_path / "study.py").write_text("""
from mdm.studies.study import Study

def get_study():
    return Study("t", "q", "e", "nowhere.py:x", (), ("heldout_bits",))
""")
    with pytest.raises(Refusal, match=r"base = 'nowhere\.py': is not a file"):
        file.load(f"{tmp_path}/study.py")
    with pytest.raises(Refusal, match="is not a file"):
        file.load(f"{tmp_path}/none.py")
