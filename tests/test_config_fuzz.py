"""A thousand settings mistyped or of the wrong type: each is refused, and the refusal names it."""

import copy
import functools
import random

import pytest

from mdm import config
from mdm.problems import Refusal
from tests.test_config import EXPERIMENTS, load

TRIES = 1000
LETTERS = "abcdefghijklmnopqrstuvwxyz_"
FREE = ("sources",)  # names that whoever prepares data chooses
WRONG = {  # by type: values that are not of it
    bool: ("yes", 1, 0.0, None, [], {}),
    int: ("many", "1", 2.5, True, None, [1], {"a": 1}),
    float: ("1e-3", True, None, [0.5], {}),
    str: (3, 0.5, False, None, ["a"], {"a": "b"}),
    list: (3, 0.5, True, None, "abc", {"a": 1}),
    dict: (3, 0.5, True, None, "abc", ["a"]),
}


@functools.cache
def settings(number: int) -> dict:
    return config.to_dict(config.resolve(load(EXPERIMENTS[number])))


def places(value, path=()):
    """The path of every setting and of every group."""
    if path:
        yield path
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield from places(part, (*path, key))


def inside(value, path):
    return functools.reduce(lambda part, key: part[key], path, value)


def mistyped(key: str, known, draw: random.Random) -> str:
    """`key` with a letter left out, doubled, replaced, or swapped with the next one; not another known key."""
    while True:
        at, letter = draw.randrange(len(key)), draw.choice(LETTERS)
        rest = key[at + 1 :]
        swapped = key[:at] + rest[:1] + key[at] + rest[1:]
        found = draw.choice((key[:at] + rest, key[:at] + key[at] * 2 + rest, key[:at] + letter + rest, swapped))
        if found and found not in known:
            return found


def written(path) -> str:
    """As a problem names it, but for hyphens."""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path).lstrip(".")


def spoil(draw: random.Random) -> tuple[dict, str, bool]:
    """Settings of an experiment with one thing wrong, what must be named, and whether it is the place that is wrong."""
    whole = copy.deepcopy(settings(draw.randrange(len(EXPERIMENTS))))
    path = draw.choice([path for path in places(whole) if not isinstance(path[-1], int) or draw.random() < 0.5])
    group = inside(whole, path[:-1])
    if isinstance(path[-1], str) and draw.random() < 0.5 and path[-2:-1] != FREE:
        wrong = mistyped(path[-1], group, draw)
        group[wrong] = group.pop(path[-1])
        return whole, wrong, True
    group[path[-1]] = draw.choice(WRONG[type(group[path[-1]])])
    return whole, written(path), False


def named(refusal: Refusal, what: str, mistyped_key: bool) -> bool:
    if mistyped_key:
        return what in str(refusal).replace("-", "_")
    return any(problem.where.replace("-", "_").startswith(what) for problem in refusal.problems)


def test_a_thousand_wrong_settings_are_refused_by_name():
    draw, kinds, failures = random.Random(0), [0, 0], []
    for number in range(TRIES):
        whole, what, mistyped_key = spoil(draw)
        kinds[mistyped_key] += 1
        try:
            config.resolve(whole)
        except Refusal as refusal:
            if not named(refusal, what, mistyped_key) or not all(problem.remedy for problem in refusal.problems):
                failures.append((number, what, str(refusal)))
        except Exception as error:  # whatever it is: a traceback is no answer
            failures.append((number, what, repr(error)))
        else:
            failures.append((number, what, "was taken"))
    assert not failures, "\n".join(f"{number}: {what}: {why}" for number, what, why in failures[:20])
    assert min(kinds) > TRIES // 4


def test_the_settings_that_were_spoilt_are_right_before():
    for number in range(len(EXPERIMENTS)):
        config.resolve(settings(number))


@pytest.mark.parametrize("value", ["many", 2.5, True, None, [1]])
def test_a_wrong_type_within_a_named_group_is_named(value):
    whole = copy.deepcopy(settings(0))
    whole["data"]["stages"][0]["rows"]["text"] = value
    with pytest.raises(Refusal, match=r"data\.stages\[0\]\.rows\.text"):
        config.resolve(whole)
