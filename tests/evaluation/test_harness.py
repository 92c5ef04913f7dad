"""The adapter for lm-evaluation-harness: against the package where it is installed, and against its documented interface."""

import importlib.util
import json
import sys
import types

import pytest

from mdm.evaluation import harness
from mdm.evaluation.continuations import TextScore
from mdm.evaluation.harness import HarnessSettings, TextModel
from mdm.problems import Problem, Refusal

INSTALLED = importlib.util.find_spec("lm_eval") is not None


def letters_in_common(pair) -> float:
    context, text = pair
    return float(len(text) - sum(letter in context for letter in text))


MODEL = TextModel(
    read=lambda context, text: (context, text),
    pieces=lambda text: [("", text[at : at + 4]) for at in range(0, len(text), 4)],
    score=lambda pairs: [TextScore(letters_in_common(p), len(p[1]), 0, p[0] == "sure") for p in pairs],
    write=lambda contexts, most: [f"{context}! and so on, {most}\nsecond line" for context in contexts],
)


@pytest.fixture
def interface(monkeypatch):
    """The part of the package's interface that is used: a base class, and requests with arguments."""
    if INSTALLED:
        return
    package, api, model = (types.ModuleType(name) for name in ("lm_eval", "lm_eval.api", "lm_eval.api.model"))
    model.LM = object
    package.__spec__ = types.SimpleNamespace(name="lm_eval")
    for name, module in (("lm_eval", package), ("lm_eval.api", api), ("lm_eval.api.model", model)):
        monkeypatch.setitem(sys.modules, name, module)


def requests(*arguments):
    return [types.SimpleNamespace(args=own) for own in arguments]


def test_the_adapter_answers_all_three_kinds_of_request(interface):
    own = harness.adapter(MODEL)
    assert own.loglikelihood(requests(("abc", "abd"), ("sure", "x"))) == [(-1.0, False), (-1.0, True)]
    assert own.loglikelihood_rolling(requests(("abcdefghi",), ("ab",))) == [-9.0, -2.0]
    found = own.generate_until(
        requests(("a", {"until": ["\n", "so"], "max_gen_toks": 5}), ("b", {"until": "!"}), ("c", {"max_gen_toks": 5}))
    )
    assert found == ["a! and ", "b", "c! and so on, 5\nsecond line"]


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(harness.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Refusal, match=r"mdm\[lm-eval\]"):
        harness.measure(MODEL, HarnessSettings(("arc_easy",)), {})


TASK = """
task: letters
dataset_path: json
dataset_kwargs:
  data_files: {{test: {data}}}
output_type: multiple_choice
test_split: test
doc_to_text: "{{{{context}}}}"
doc_to_choice: choices
doc_to_target: answer
target_delimiter: ""
metric_list:
  - metric: acc
  - metric: acc_norm
metadata:
  version: 1.0
"""


@pytest.fixture
def tasks(tmp_path):
    """A folder of local task files with one task, letters, of which the model gets two of three right."""
    lines = [("aaab", ["ab", "xy"], 0), ("cccc", ["xy", "cc"], 1), ("dddd", ["dd", "xy"], 1)]
    data = tmp_path / "letters.jsonl"
    data.write_text("\n".join(json.dumps({"context": c, "choices": o, "answer": a}) for c, o, a in lines))
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "letters.yaml").write_text(TASK.format(data=data))
    return tmp_path / "tasks"


@pytest.mark.slow
@pytest.mark.skipif(not INSTALLED, reason="needs the extra lm-eval")
def test_a_local_task_file_is_run_by_the_package(tasks, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    found = {f.metric: f for f in harness.measure(MODEL, HarnessSettings(("letters",), str(tasks)), {"method": "elbo"})}
    assert found["acc"].value == pytest.approx(2 / 3) and found["acc"].documents == 3
    assert found["acc"].se_data == pytest.approx((2 / 3 * 1 / 3 / 2) ** 0.5) and "lm-eval" in found["acc"].versions
    with pytest.raises(Refusal, match="no_such_task"):
        harness.measure(MODEL, HarnessSettings(("no_such_task",), str(tasks)), {})


def test_refusals_of_texts_keep_their_own_words(interface):
    def refused(context, text):
        raise Refusal(Problem("continuation", text, "is empty", "give some"))

    own = harness.adapter(TextModel(refused, MODEL.pieces, MODEL.score, MODEL.write))
    with pytest.raises(Refusal, match="is empty"):
        own.loglikelihood(requests(("a", "")))
