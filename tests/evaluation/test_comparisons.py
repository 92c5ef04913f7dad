"""Steps and runs are compared by what they make and answer, where that was made in the same way."""

import dataclasses

from mdm.evaluation import comparisons, report
from mdm.evaluation.against import EvaluatedRun
from mdm.evaluation.evaluated import Evaluated, parts_of
from mdm.evaluation.folder import EvaluationFolder
from mdm.evaluation.made_with import MadeWith
from tests.evaluation.test_evaluated import CHOICE, FIGURE
from tests.evaluation.test_report import Manifest, cells, render, result

FIGURES = dataclasses.replace(FIGURE, stream="s", se_data=0.5)


def own(step, model=1.0, accuracy=0.5, data="d", choice=None, **changes):
    made = [dataclasses.replace(FIGURES, model=model, **changes)]
    lines = [CHOICE | {"accuracy": accuracy} | (choice or {})]
    return Evaluated(step, [result("text", "text", data=data)], made=made, choices=lines)


def test_a_column_each_beside_the_first():
    found = comparisons.figures({"a": own(3), "b": own(3, model=2.0), "c": Evaluated(3, own(3).results)})
    assert found.columns == ["split", "stream", "task", "of", "figure", "better", "a", "b", "c"] and found.text == 6
    (row,) = found.rows
    assert row[4:] == ["entropy (bits)", "≈", "1.00 ± 0.50", "2.00 ± 0.50", ""]
    answers = comparisons.choices({"a": own(3), "b": own(3, accuracy=0.75)})
    assert answers.rows == [["c.jsonl", "elbo", "50.0 ± 25.0", "75.0 ± 25.0"]]


def test_what_was_made_otherwise_is_not_compared():
    others = {
        "data": own(3, data="e"), "documents": own(3, documents=5), "seeds": own(3, seeds=(1, 4)), "sampler": own(3, sampler={}),
    }  # fmt: skip
    (row,) = comparisons.figures({"own": own(3), **others}).rows
    assert row[7:] == [comparisons.OTHER_DATA, *[comparisons.OTHERWISE] * 3]
    files = {
        "bytes": own(3, choice={"data": "other"}),
        "scoring": own(3, choice={"scoring": {"method": "elbo", "samples": 9}}),
    }
    rows = own(3, choice={"scoring": CHOICE["scoring"] | {"batch_rows": 3}})  # which decides nothing
    (row,) = comparisons.choices({"own": own(3), **files, "rows": rows}).rows
    assert row[3:] == [comparisons.OTHERWISE, comparisons.OTHERWISE, "50.0 ± 25.0"]


def test_nothing_beside_is_no_table():
    assert comparisons.figures({"a": own(3), "b": Evaluated(3, own(3).results)}) is None
    assert comparisons.figures({"a": own(3, model=None), "b": own(3)}) is None
    assert comparisons.figures({"a": Evaluated(3)}) is None and comparisons.choices({"a": Evaluated(3)}) is None


def test_the_page_compares_steps_and_runs_by_them():
    page = render(own(3), others=[EvaluatedRun("b/run", {}, own(3, model=4.0))])
    rows = cells(page.split("Beside other runs")[1])
    assert ["heldout", "s", "text", "text", "entropy (bits)", "≈", "1.00 ± 0.50", "4.00 ± 0.50"] in rows
    parts = {step: own(step, model=float(step), accuracy=step / 4) for step in (1, 2, 3)}
    run, history = EvaluatedRun("a/run", {}, own(2, model=2.0)), {step: one.results for step, one in parts.items()}
    page = report.render(report.Report("a run", (), run, history, (), Manifest(), (), {}, parts))
    rows = cells(page.split("How its steps compare")[1])
    assert ["split", "stream", "task", "of", "figure", "better", "step 2", "step 3", "step 1"] in rows
    assert ["c.jsonl", "elbo", "50.0 ± 25.0", "75.0 ± 25.0", "25.0 ± 25.0"] in rows


def test_a_damaged_step_costs_only_itself(tmp_path, caplog):
    folder = EvaluationFolder(tmp_path)
    for step in (1, 2):
        folder.write(step, "likelihood", [result("text", "text").to_json()], MadeWith({}))
    folder.lines(1, "generated").write_text("{")
    assert list(parts_of(folder, [1, 2])) == [2] and "step-000000001.generated.jsonl" in caplog.text
