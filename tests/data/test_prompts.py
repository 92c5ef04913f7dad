"""Prompts: what is asked for, and everything that is wrong with it at once."""

import io
import json

import numpy as np
import pytest
import soundfile
from PIL import Image

from mdm.data import prompts
from mdm.data.prompts import Asked

NONE = Asked(count=1, seed=0)


@pytest.fixture
def folder(tmp_path):
    for number in range(2):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / f"{number}.png")
    soundfile.write(tmp_path / "tone.wav", np.zeros(100), 16_000)
    return tmp_path


def read(task, given=None, common=NONE, lines=None, folder=None):
    """lines: of a file in `folder`, or of standard input."""
    if lines is None:
        return prompts.read(task, given or {}, common)
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    if folder is None:
        return prompts.read(task, given or {}, common, "-", io.StringIO(text))
    (folder / "prompts.txt").write_text(text, encoding="utf-8")
    return prompts.read(task, given or {}, common, str(folder / "prompts.txt"))


def good(*arguments, **changes):
    found, problems = read(*arguments, **changes)
    assert not problems
    return found


def wrong(*arguments, **changes) -> list[str]:
    return [str(problem) for problem in read(*arguments, **changes)[1]]


def rows(prompt):
    """Of a picture of two, which are kept."""
    return prompt.extent.kept["image"]((2, 2)).all(axis=1).tolist()


def test_the_command_line(folder):
    found = good("text-to-image", {"prompt": ["red apple", "cat"], "image": [str(folder / "1.png")]},
                 Asked(count=2, seed=7, keep="0:0.5"))  # fmt: skip
    assert [prompt.given["text"] for prompt in found] == ["red apple", "cat"]
    assert [prompt.seeds for prompt in found] == [(7, 8), (9, 10)]
    assert all(prompt.given["image"][0, 0, 0] == 1 and rows(prompt) == [True, False] for prompt in found)


def test_a_task_without_a_condition_needs_no_prompt():
    (prompt,) = good("text", common=Asked(count=3, seed=1))
    assert prompt.given == {} and prompt.seeds == (1, 2, 3)


@pytest.mark.parametrize("of_a_file", [True, False])
def test_lines_are_prompts_or_records(folder, of_a_file):
    lines = ["\ufeffred apple", "", "  a cat\r", {"prompt": "dög", "seed": 40, "count": 2}, {"prompt": "last"}]
    found = good("text-to-image", lines=lines, folder=folder if of_a_file else None, common=Asked(count=1, seed=5))
    assert [prompt.given["text"] for prompt in found] == ["red apple", "a cat", "dög", "last"]
    # One with a seed of its own moves no other's.
    assert [prompt.seeds for prompt in found] == [(5,), (6,), (40, 41), (9,)]
    assert found[2].where.endswith("line 4")


def test_records_name_files_beside_theirs_and_what_is_given_once_serves_all(folder):
    found = good("image-to-text", lines=[{"image": "0.png"}, {"image": "1.png", "length": 3}], folder=folder,
                 common=Asked(length=9, seed=0))  # fmt: skip
    assert [prompt.given["image"][0, 0, 0] for prompt in found] == [0, 1]
    assert [prompt.asked.length for prompt in found] == [9, 3]
    picture = {"image": [str(folder / "1.png")]}
    found = good(
        "text-to-image", picture, Asked(keep="0:1"), lines=["a", {"prompt": "b", "keep": "0.5:1"}], folder=folder
    )
    assert [rows(prompt) for prompt in found] == [[True, True], [False, True]]
    assert good("speech-to-text", lines=[{"sound": "tone.wav"}], folder=folder)[0].given["audio"].rate == 16_000


@pytest.mark.parametrize(
    ("task", "given", "common", "told"),
    [
        ("sing", {}, NONE, "'sing': is not a task"),
        ("text-to-image", {}, NONE, "needs text"),
        (
            "text-to-image",
            {"prompt": ["a"], "sound": ["x.wav"]},
            NONE,
            "--sound = 'x.wav': text-to-image takes no audio",
        ),
        ("text-to-image", {"prompt": [" "]}, NONE, "--prompt = ' '"),
        ("text-to-image", {"prompt": ["a"]}, Asked(length=3), "--length"),
        ("text-to-image", {"prompt": ["a"]}, Asked(keep="0:1"), "--keep = '0:1': no target is given"),
        ("text", {"prompt": ["a"]}, NONE, "say which part of it is kept"),
        ("text", {"prompt": ["a"]}, Asked(keep="0.6:0.5"), "--keep = '0.6:0.5'"),
        ("text", {}, Asked(count=0), "--count = 0"),
        ("text", {}, Asked(count=10**6), "--count = 1000000"),
        ("text", {}, Asked(seed=2**32), "--seed"),
        ("text", {}, Asked(seed=2**32 - 2, count=3), "too large a seed"),
        ("text", {}, Asked(length="0"), "--length = '0'"),
        ("text", {}, Asked(more=9), "--more = 9: no target is given"),
        ("joint-audio-text", {}, Asked(length="9"), "name them: text=9,audio=9"),
        ("text", {"prompt": ["a"]}, Asked(more=9, length="9"), "text is given and has its length"),
        ("text", {"prompt": ["a"]}, Asked(keep="0:1x0:1"), "nothing that has columns"),
        ("image-to-text", {"image": ["none.png"]}, NONE, "none.png: is not a readable picture"),
    ],
)
def test_what_is_wrong_on_the_command_line_is_told(task, given, common, told):
    (problem,) = wrong(task, given, common)
    assert told in problem


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"prompt": "a"', "line 2: is not JSON"),
        ({"promt": "a"}, "did you mean prompt?"),
        ({"prompt": 3}, "line 2: prompt = 3"),
        ({"prompt": "a", "count": True}, "line 2: count = True"),
        ({"prompt": "a", "seed": -1}, "line 2: seed = -1"),
        ({"prompt": "a", "keep": [0, 1]}, "line 2: keep = [0, 1]"),
        ({"prompt": "a", "image": "none.png", "keep": "0:1"}, "none.png: is not a readable picture"),
        ({"prompt": "a", "image": "0.png"}, "say which part of it is kept"),
        ({"seed": 1}, "line 2: text-to-image needs text"),
        ({"prompt": "a", "keep": "0:0.5"}, "line 2: keep = '0:0.5': no target is given that could be kept"),
        (
            {"prompt": "a", "mask": "none.png"},
            "none.png': no target is given that could be kept -> leave it out, or give image",
        ),
        ({"prompt": "a", "more": 3}, "line 2: more = 3: no target is given"),
        ({"prompt": "a", "image": "0.png", "mask": "1.png"}, "mask: nothing in it is bright"),
        ({"prompt": "a", "image": "0.png", "mask": "none.png"}, "none.png: is not a readable picture"),
        ({"prompt": "a", "image": "0.png", "mask": "1.png", "keep": "0:1"}, "give one of them"),
    ],
)
def test_what_is_wrong_in_a_file_is_told_by_its_line(folder, line, told):
    found, (problem,) = read("text-to-image", lines=["a", line], folder=folder)
    assert told in str(problem) and str(folder) in problem.where
    assert [prompt.given["text"] for prompt in found] == ["a"]


def test_what_holds_for_all_is_not_passed_over_by_one(folder):
    """Otherwise that one would be made anew as a whole, and logged as kept in part."""
    lines = [{"prompt": "a", "image": "0.png"}, "b", {"prompt": "c"}]
    (told,) = wrong("text-to-image", {}, Asked(keep="0:0.5"), lines=lines, folder=folder)
    assert told.startswith("--keep = '0:0.5': ") and "line 2 and 1 more: no target is given" in told
    assert not wrong("text-to-image", {}, Asked(keep="0:0.5"), lines=lines[:1], folder=folder)


def test_everything_is_told_at_once(folder):
    lines = ['{"prompt"', {"prompt": "a", "count": 0, "seed": -1}, {"prompt": "b", "image": "none.png", "keep": "0:1"},
             {"prompt": "c", "image": "none.png", "keep": "0:1"}]  # fmt: skip
    problems = wrong("text-to-image", {"prompt": ["x", "y"]}, NONE, lines=lines, folder=folder)
    told = "\n".join(problems)
    assert len(problems) == 5  # the picture that two records name is missing once
    assert all(part in told for part in ("line 1: is not", "count", "seed", "none.png", "--prompt"))


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_a_file_without_a_prompt_is_told(tmp_path, text):
    (tmp_path / "empty.txt").write_text(text)
    (_, (problem,)) = prompts.read("text-to-image", {}, NONE, str(tmp_path / "empty.txt"))
    assert "empty.txt" in str(problem) and "holds no prompt" in str(problem)


def test_a_file_that_is_missing_or_no_text_is_told(tmp_path):
    (tmp_path / "latin").write_bytes("dög".encode("latin-1"))
    for name, told in (("none", "cannot be read"), ("latin", "is not UTF-8")):
        (_, (problem,)) = prompts.read("text-to-image", {}, NONE, str(tmp_path / name))
        assert told in str(problem)
