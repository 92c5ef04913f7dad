"""One config for every binary: complete, checked all at once, and the same after a trip through JSON."""

import importlib.util
import json
from pathlib import Path

import pytest
from ml_collections import ConfigDict

from mdm import config
from mdm.problems import Refusal

ROOT = Path(__file__).parents[1]
EXPERIMENTS = sorted(path for path in (ROOT / "experiments").glob("*.py"))
GOLDEN = Path(__file__).parent / "golden"


def load(path: Path, *arguments: str) -> ConfigDict:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config(*arguments)


@pytest.fixture
def smoke():
    return load(ROOT / "experiments" / "smoke.py")


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_every_experiment_resolves_to_its_golden_file(path, request):
    """A changed default changes every experiment that relies on it: here it shows. To accept: rm the file and run again."""
    found = json.dumps(config.to_dict(config.resolve(load(path))), indent=1, sort_keys=True) + "\n"
    golden = GOLDEN / f"{path.stem}.json"
    if not golden.exists():
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(found)
        pytest.fail(f"{golden} was written: read it, and commit it")
    assert found == golden.read_text()


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_settings_survive_json(path):
    settings = config.resolve(load(path))
    again = json.loads(json.dumps(config.to_dict(settings)))
    assert config.from_dict(again, "config.json") == settings
    assert config.resolve(ConfigDict(again)) == settings


def test_every_problem_is_listed_at_once(smoke):
    smoke.model.width = -1
    smoke.optimizer.schedule = "linear"
    smoke.data.stages = [config.stage(text=-1, music=2)]
    smoke.training.tokens = 0
    smoke.data.streams.text.tasks = {"text_to_smell": 1.0}
    with pytest.raises(Refusal) as refusal:
        config.resolve(smoke)
    found = {problem.where for problem in refusal.value.problems}
    assert {"model.width", "optimizer.schedule", "data.stages[0].rows.text", "data.stages[0].rows", "training.tokens",
            "data.streams.text.tasks"} <= found  # fmt: skip
    assert all(problem.remedy for problem in refusal.value.problems)


@pytest.mark.parametrize("rows", [{"text": 0, "image_text": 0}, {"text": -2}, {}])
def test_weights_that_are_negative_or_all_zero_are_refused(smoke, rows):
    smoke.data.stages = [config.stage(**rows)]
    with pytest.raises(Refusal, match=r"data\.stages\[0\]"):
        config.resolve(smoke)


@pytest.mark.parametrize(
    "key, value, expected",
    [("training.batch_size", 2.5, "a whole number"), ("model.walk", 3, "a string"), ("data.streams", 3, "a group")],
)
def test_a_value_of_the_wrong_type_is_named(smoke, key, value, expected):
    smoke = smoke.to_dict()
    *parents, last = key.split(".")
    inner = smoke
    for name in parents:
        inner = inner[name]
    inner[last] = value
    with pytest.raises(Refusal, match=rf"{key} .*is not {expected}"):
        config.from_dict(smoke, "config.json")


def test_a_mistyped_key_suggests_the_right_one(smoke):
    value = smoke.to_dict()
    value["optimizer"]["learning_rte"] = 1.0
    with pytest.raises(Refusal, match=r"optimizer\.learning_rte.*did you mean optimizer\.learning_rate"):
        config.from_dict(value, "config.json")


def test_a_missing_setting_is_named(smoke):
    del smoke.model.width
    with pytest.raises(Refusal, match=r"model\.width"):
        config.resolve(smoke)


def test_a_run_folder_of_an_earlier_version_is_read(smoke):
    value = smoke.to_dict()
    del value["training"]["profile"], value["mesh"], value["data"]["codebooks"]
    for stream in value["data"]["streams"].values():
        del stream["drop_long"]
    assert config.from_dict(value, "config.json") == config.resolve(smoke)
    del value["training"]["batch_size"]  # has no default: no version was without it
    with pytest.raises(Refusal, match=r"config\.json: training\.batch_size"):
        config.from_dict(value, "config.json")


def test_an_unknown_codec_is_named(smoke):
    smoke.prepare.codecs.text = {"kind": "morse"}
    with pytest.raises(Refusal, match="morse"):
        config.resolve(smoke)
