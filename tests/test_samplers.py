import dataclasses
import json
from pathlib import Path

import pytest

from mdm.problems import Refusal
from mdm.samplers import read
from mdm.sampling.defaults import DEFAULTS
from mdm.studies import file

ROOT = Path(__file__).parents[1]
FEW_CALLS = "experiments/samplers/few_calls.json"


def write(tmp_path, value):
    path = tmp_path / "samplers.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def test_a_file_changes_the_defaults(tmp_path):
    found = read(write(tmp_path, {"text": {"steps": 7, "temperature": 1}, "text-to-image": {}}))
    assert (found["text"].steps, found["text"].temperature, found["text"].top_p) == (7, 1, DEFAULTS["text"].top_p)
    assert {task: own for task, own in found.items() if task != "text"} == {
        task: own for task, own in DEFAULTS.items() if task != "text"
    }


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ("{", "cannot be read"),
        ("[" * 100_000, "cannot be read"),
        ([], "is not a task"),
        ({"txt": {}}, "txt.*is not a task"),
        ({"text": 3}, "text.*is not a task with settings"),
        ({"text": {"step": 3}}, r"text\.step.*there is no such setting"),
        ({"text": {"steps": "3"}}, r"text\.steps.*is not a whole number"),
        ({"text": {"steps": True}}, r"text\.steps.*is not a whole number"),
        ({"text": {"steps": 0}}, r"text\.steps.*whole number"),
        ({"text": {"top_p": 2.0}, "speech-to-text": {"order": "best"}}, r"(?s)top_p.*speech-to-text\.order"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, value, named):
    with pytest.raises(Refusal, match=named) as refused:
        read(write(tmp_path, value))
    assert "samplers.json" in str(refused.value)


@pytest.mark.parametrize("task", DEFAULTS)
def test_the_table_of_the_literature_is_where_the_sweep_began(task, monkeypatch):
    monkeypatch.chdir(ROOT)
    _, base = file.load(f"experiments/studies/samplers.py:{task}")
    assert dataclasses.asdict(read("experiments/samplers/literature.json")[task]) == base["sampler"]


@pytest.mark.parametrize("task", json.loads((ROOT / FEW_CALLS).read_text()))
def test_the_table_of_few_calls_holds_what_was_swept(task, monkeypatch):
    monkeypatch.chdir(ROOT)
    study, base = file.load(f"experiments/studies/samplers.py:{task}")
    changes = [{k.removeprefix("sampler."): v for k, v in own.items()} for own in study.axes[0].levels.values()]
    assert dataclasses.asdict(read(FEW_CALLS)[task]) in [base["sampler"] | change for change in changes]
