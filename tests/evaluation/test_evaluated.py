"""What is there of a step stands together only where it was made with the same."""

import dataclasses
import html

import pytest

from mdm.evaluation import document_scores, evaluated, notes, paper, tables
from mdm.evaluation.folder import EvaluationFolder
from mdm.evaluation.generated import Generated
from mdm.evaluation.made_with import MadeWith
from mdm.evaluation.measures.registry import MEASURES
from mdm.evaluation.result import Result
from mdm.problems import Refusal
from tests.evaluation.test_document_scores import scores
from tests.evaluation.test_report import render, result

FIGURE = Generated(
    split="heldout", task="text", modality="text", what="entropy", unit="bits", better="alike", documents=4, model=1.0,
    se_data=None, codec=None, original=2.0, chance=None, sampler={"steps": 8}, seeds=(0, 3), seconds=1.0, versions={},
    device="cpu",
)  # fmt: skip
CHOICE = {
    "name": "c.jsonl", "data": "digest", "questions": 4, "accuracy": 0.5, "se_data": 0.25, "accuracy_by_length": 0.75,
    "by_length_se_data": None, "chance": 0.25, "scoring": {"method": "elbo", "samples": 8}, "seeds": [0, 1],
}  # fmt: skip
ORDER = result("text", "text", what="chain-rule", order="random", mixture_bits=7.25).to_json()
LINES = {
    "orders": ORDER,
    "generated": FIGURE.to_json(),
    "choices.c": CHOICE,
    "harness": {
        "task": "arc",
        "metric": "acc",
        "scoring": {"method": "elbo"},
        "documents": 4,
        "value": 0.5,
        "se_data": 0.1,
    },
}


@pytest.fixture
def folder(tmp_path):
    folder = EvaluationFolder(tmp_path)
    for part, line in {"likelihood": result("text", "text").to_json(), **LINES}.items():
        write(folder, part, line)
    return folder


def write(folder, part, line, weights="ema", data="d", checkpoint="a"):
    own = {**line, "weights": weights, "step": 3, "checkpoint": checkpoint}
    own |= {"data": data} if part in ("likelihood", "orders") else {}
    told = {"weights": weights} | ({} if part.startswith(("choices", "harness")) else {"data": data})
    folder.write(3, part, [own], MadeWith(told))


def kept(own):
    return [bool(part) for part in (own.orders, own.made, own.choices, own.harness)]


def test_what_was_made_with_the_same_stands_together(folder):
    own = evaluated.read(folder, 3)
    assert kept(own) == [True] * 4 and not own.left_out and "Left out" not in paper.page(own)


def test_every_table_says_how_its_figures_were_made(folder):
    own = evaluated.read(folder, 3)
    of = "Step 3; weights ema"
    told = [
        f"{of}; seeds 0 to 3; all sampled with steps 8; ± is one standard error over documents.",
        f"{of}; texts scored with method elbo, samples 8; ± is one standard error over questions.",
        f"{of}; texts scored with method elbo; ± is one standard error, as its task tells it.",
    ]
    for page in (paper.page(own), render(own)):
        assert all(note in page for note in told)


def test_figures_that_lacked_a_package_are_named_with_the_extra(folder):
    needy = [m.name for m in MEASURES if m.packages and "image-to-text" in m.tasks]
    line = {**FIGURE.to_json(), "weights": "ema", "step": 3, "checkpoint": "a"}
    for available in ((), needy):
        settings = {"weights": "ema", "data": "d", "tasks": {"pairs": ["image-to-text"]}}
        folder.write(3, "generated", [line], MadeWith(settings, tuple(available)))
        own = evaluated.read(folder, 3)
        assert needy and list(own.absent) == [name for name in needy if name not in available]
        for page in (paper.page(own), html.unescape(render(own))):
            told = f"not measured, for want of packages: {', '.join(needy)} (pip install 'mdm[scorers]'"
            assert (told in page) == (not available)


def test_what_samplers_have_in_common_is_told_once():
    made = [
        dataclasses.replace(FIGURE, task=task, seeds=(0, last), sampler={"steps": steps, "top_p": 0.9, "reuse": True})
        for task, steps, last in (("text", 8, 3), ("text-to-image", 16, 3), ("image-to-text", 8, 2))
    ]
    assert notes.generated(made) == (
        "Seeds 0 to 2 and 0 to 3; all sampled with top_p 0.9, reuse true; text, image-to-text with steps 8; "
        "text-to-image with steps 16; ± is one standard error over documents."
    )
    written = {**LINES["harness"], "sampler": {"steps": 4}, "scoring": {"method": "elbo", "batch_rows": 16}}
    assert "method elbo; answers written with steps 4;" in notes.harness([written])


@pytest.mark.parametrize(
    "changes, stays, told",
    [
        ({"weights": "parameters"}, [False] * 4, "choices.c: weights ema, not parameters"),
        ({"data": "e"}, [False, False, True, True], "generated: data d, not e"),
        ({"checkpoint": "b"}, [False] * 4, "orders: checkpoint a, not b"),
        ({"checkpoint": None}, [True] * 4, ""),  # of an earlier version, which does not say
    ],
)
def test_parts_of_other_weights_data_or_checkpoints_are_left_out_and_named(folder, changes, stays, told):
    write(folder, "likelihood", result("text", "text").to_json(), **changes)
    own = evaluated.read(folder, 3)
    assert kept(own) == stays
    for page in (paper.page(own), render(own)):
        assert ("not made with" in page.lower()) == bool(told) and told in page
        assert ("7.250" in page) == stays[0] and ("c.jsonl" in page) == stays[2]


def test_a_part_that_does_not_tell_its_data_goes_by_its_weights(folder):
    for description in (folder.path / "made-with").iterdir():
        description.unlink()
    write(folder, "likelihood", result("text", "text").to_json(), data="e")
    assert kept(evaluated.read(folder, 3)) == [False, True, True, True]


@pytest.mark.parametrize("line, told", [("[]", "line 1"), ('{"a": 1}', "line 1"), ("[" * 100_000, "is damaged")])
def test_a_line_that_is_no_result_is_named(folder, line, told):
    for read in (lambda: evaluated.read(folder, 3), lambda: folder.read_as(Result.from_json, 3)):
        folder.lines(3).write_text(line + "\n")
        with pytest.raises(Refusal, match=rf"step-000000003\.jsonl.*{told}.*remove it|step-000000003\.jsonl: {told}"):
            read()


def test_deep_nesting_in_what_is_beside_the_lines_is_no_crash(folder):
    deep = "[" * 100_000
    for description in (folder.path / "made-with").iterdir():
        description.write_text(deep)
    assert "not told" in folder.wanting(3, "orders", MadeWith({}))
    folder._progress(3, "orders").write_text(deep)
    assert not folder.progress(3, "orders", "this").kept
    folder.documents(3).parent.mkdir()
    folder.documents(3).write_text(deep)
    with pytest.raises(Refusal, match="holds no scores"):
        document_scores.read(folder.documents(3))


def test_costs_of_documents_of_other_data_are_not_paired():
    own = evaluated.Evaluated(3, [result("text", "text", weights="ema")])
    costs = dataclasses.replace(scores([1.0, 2.0], "ab"), weights="ema")
    of = lambda one: tables._costs(dataclasses.replace(own, documents=[one]))  # noqa: E731
    assert of(costs) and not of(dataclasses.replace(costs, data="e"))
