"""The adapter for lm-evaluation-harness: against the package where it is installed, and against its documented interface."""

import dataclasses
import importlib.util
import json
import sys
import types

import pytest

from mdm.evaluation import harness
from mdm.evaluation.continuations import TextScore, TextScoring, WrittenText
from mdm.evaluation.harness import HarnessSettings, Tally, TextModel
from mdm.evaluation.incomplete import Incomplete
from mdm.evaluation.writers import figures
from mdm.problems import Problem, Refusal
from mdm.sampling.defaults import DEFAULTS

INSTALLED = importlib.util.find_spec("lm_eval") is not None


def letters_in_common(pair) -> float:
    context, text = pair
    return float(len(text) - sum(letter in context for letter in text))


MODEL = TextModel(
    read=lambda context, text: (context, text),
    pieces=lambda text: [("", text[at : at + 4]) for at in range(0, len(text), 4)],
    score=lambda pairs: [TextScore(letters_in_common(p), len(p[1]), 0, p[0] == "sure") for p in pairs],
    write=lambda contexts, most: [written(context, most) for context in contexts],
)


def written(context, most):
    """One that keeps three letters of a context."""
    text = f"{context}! and so on, {most}\nsecond line"
    return WrittenText(text, max(0, len(context) - 3), min(most, 100), DEFAULTS["text"], 7)


@pytest.fixture
def interface(monkeypatch):
    """The part of the package's interface that is used, but for its tasks: a base class, and requests with arguments."""
    package, api, model, tasks = (
        types.ModuleType(name) for name in ("lm_eval", "lm_eval.api", "lm_eval.api.model", "lm_eval.tasks")
    )
    model.LM, tasks.TaskManager, package.simple_evaluate = object, Manager, simple_evaluate
    package.__spec__ = types.SimpleNamespace(name="lm_eval")
    for own in (package, api, model, tasks):
        monkeypatch.setitem(sys.modules, own.__name__, own)
    monkeypatch.setattr(harness.importlib.metadata, "version", lambda name: "0.4")


TASKS = {"short": "abc", "long": "a long context", "broken": ZeroDivisionError("of the task"), "refused": "too long"}
"""What a task asks of the model, or what its file raises."""


TASKS = {"short": "abc", "long": "a long context", "broken": ZeroDivisionError("of the task"), "refused": "too long"}
"""What a task asks of the model, or what its file raises."""


class Manager:
    """Knows tasks by name; a group holds several."""

    def __init__(self, include_path):
        if include_path == "nowhere":
            raise FileNotFoundError(include_path)

    def load(self, names):
        (name,) = names
        if name == "group":
            return {"tasks": {own: TASKS[own] for own in ("short", "long")}}
        return {"tasks": {name: TASKS[name]}}


def simple_evaluate(model, tasks, task_manager, bootstrap_iters, log_samples):
    (asked,) = tasks
    if isinstance(asked, Exception):
        raise asked
    name = next(name for name, own in TASKS.items() if own == asked)
    if name != "short":
        model.generate_until(requests((asked, {})))
    model.loglikelihood(requests((asked, "a")))
    values = {"alias": name, "acc,none": 0.5, "acc_stderr,none": 0.1, "exact_match,strict-match": 0.25,
              "exact_match_stderr,strict-match": "N/A", "exact_match,flexible-extract": 0.75}  # fmt: skip
    return {"results": {name: values}, "n-samples": {name: {"effective": 4}}, "versions": {name: 2}}


def requests(*arguments):
    return [types.SimpleNamespace(args=own) for own in arguments]


def test_the_adapter_answers_all_three_kinds_of_request(interface):
    own = harness.adapter(MODEL, Tally())
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


SCORING = {"method": "elbo", "repeats": 3}


def measured(*names, model=MODEL, folder=None):
    return harness.measure(model, HarnessSettings(names, folder), SCORING)


def test_filters_of_one_metric_are_figures_of_their_own(interface):
    found = measured("short")
    assert [f.name for f in found] == [
        "short/acc",
        "short/exact_match/strict-match",
        "short/exact_match/flexible-extract",
    ]
    assert [(f.filter, f.value, f.se_data) for f in found][:2] == [("none", 0.5, 0.1), ("strict-match", 0.25, None)]
    watched = figures("harness", [f.to_json() for f in found])
    assert sorted(v for name, v in watched.items() if name.endswith("/value")) == [0.25, 0.5, 0.75]


def test_a_figure_says_how_answers_were_written_and_what_was_cut(interface, caplog):
    short, long = (next(f for f in measured("group") if f.task == name) for name in ("short", "long"))
    scoring = TextScoring(**SCORING)
    assert (short.sampler, short.seeds, short.requests, short.cut, short.shortened) == (None, scoring.seeds, 1, 0, 0)
    assert (long.seeds, long.requests, long.cut, long.shortened) == ((*scoring.seeds, 7), 2, 1, 1)
    assert (short.cut_codes, long.cut_codes) == (0, len("a long context") - 3)
    assert len(scoring.seeds) == 3 and long.scoring == SCORING
    assert long.sampler["steps"] == DEFAULTS["text"].steps and json.dumps(long.to_json())
    assert "long: of 2 texts, 1 lost the beginning" in caplog.text and "short: of" not in caplog.text


def test_a_bad_name_or_file_costs_itself_only(interface):
    with pytest.raises(Incomplete) as incomplete:
        measured("short", "no_such_task", "broken", "long")
    assert [(p.where, p.value) for p in incomplete.value.problems] == [
        ("--harness", "no_such_task"),
        ("--harness", "broken"),
    ]
    assert "ZeroDivisionError: of the task" in str(incomplete.value)
    assert {f.task for f in incomplete.value.results} == {"short", "long"}
    with pytest.raises(Refusal, match="nowhere"):
        measured("short", folder="nowhere")


def test_what_the_model_raises_is_no_fault_of_a_task(interface):
    def fails(pairs):
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory")

    with pytest.raises(RuntimeError, match="Out of memory"):
        measured("short", model=dataclasses.replace(MODEL, score=fails))

    def read(context, text):
        if context == "too long":
            raise Refusal(Problem("continuation", text, "takes 900 positions", "shorten it"))
        return context, text

    with pytest.raises(Incomplete, match="--harness=refused: continuation = 'a': takes 900") as incomplete:
        measured("refused", "short", model=dataclasses.replace(MODEL, read=read))
    assert {f.task for f in incomplete.value.results} == {"short"}


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
    with pytest.raises(Incomplete, match="no_such_task") as incomplete:
        harness.measure(MODEL, HarnessSettings(("no_such_task", "letters"), str(tasks)), {})
    assert {f.metric for f in incomplete.value.results} == {"acc", "acc_norm"}


def test_refusals_of_texts_keep_their_own_words(interface):
    def refused(context, text):
        raise Refusal(Problem("continuation", text, "is empty", "give some"))

    own = harness.adapter(TextModel(refused, MODEL.pieces, MODEL.score, MODEL.write), Tally())
    with pytest.raises(Refusal, match="is empty"):
        own.loglikelihood(requests(("a", "")))
