"""Dotted keys change what is there, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ml_collections import ConfigDict

from mdm.studies import dotted

CONFIG = {"empty": {}, "model": {"width": 1, "depth": 2}, "data": {"stages": [{"rows": {"text": 1}}]}}


@pytest.mark.parametrize(
    "key, value",
    [
        ("model.width", 5),
        ("data.stages[0].rows.text", 7),
        ("data.stages", [1]),
        ("model", ConfigDict({"width": 3})),
        ("empty.any", 1),
    ],
)
def test_a_key_is_set_in_a_copy(key, value):
    problems = []
    changed = dotted.apply(CONFIG, {key: value}, problems)
    assert not problems
    assert changed != CONFIG and CONFIG["model"]["width"] == 1 and CONFIG["data"]["stages"][0]["rows"]["text"] == 1
    assert not isinstance(changed["model"], ConfigDict)


@pytest.mark.parametrize(
    "key, told",
    [
        ("model.widht", "did you mean model.width"), ("modle.width", "did you mean model"), ("model.width.x", "one value"),
        ("data.stages[3].rows.text", "no such setting"), ("", "is not a key"), ("zzz", "the config has empty, model, data"),
        ("empty.a.b", "empty has no settings yet"),
    ],
)  # fmt: skip
def test_a_key_that_is_not_there_is_told(key, told):
    problems = []
    assert dotted.apply(CONFIG, {key: 1}, problems) == CONFIG
    assert len(problems) == 1 and told in str(problems[0])


def test_a_group_without_settings_takes_several():
    problems = []
    assert dotted.apply(CONFIG, {"empty.a": 1, "empty.b": 2}, problems)["empty"] == {"a": 1, "b": 2} and not problems


def test_configs_are_split_into_what_they_share_and_the_rest():
    other = {"empty": {}, "model": {"width": 3, "depth": 2}, "data": {"stages": []}}
    shared, (first, second) = dotted.split([CONFIG, other])
    assert shared == {"empty": {}, "model.depth": 2}
    assert first == {"model.width": 1, "data.stages": [{"rows": {"text": 1}}]}
    assert second == {"model.width": 3, "data.stages": []}
    one, (none,) = dotted.split([CONFIG])
    assert none == {} and one["model.width"] == 1 and dotted.split([]) == ({}, [])


@given(st.text(max_size=20))
def test_any_text_is_set_or_told(key):
    problems = []
    changed = dotted.apply(CONFIG, {key: "new"}, problems)
    assert bool(problems) == (changed == CONFIG)
