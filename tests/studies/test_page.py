"""The page is made of what is finished, says what is missing, and holds foreign text as text."""

import dataclasses
import json
import math
import re

import pytest

from mdm.problems import Refusal
from mdm.studies import page, rows
from mdm.studies.analyses.best_setting import BestSetting
from mdm.studies.analyses.curve import Curve
from mdm.studies.analyses.lines import lines
from mdm.studies.analyses.power_fit import PowerFit
from mdm.studies.analyses.scaling_fit import ScalingFit
from mdm.studies.folder import StudyFolder
from mdm.studies.plan import Trial
from mdm.studies.rows import Row
from mdm.studies.study import Axis, Search
from tests.studies.conftest import tiny_study

HOSTILE = "<script>alert('x')</script> | {{ 7 * 7 }}"
RATES = (1e-3, 1e-2, 1e-1)


def loss(width, rate, seed):
    """Lowest at 0.01, a little different for each seed."""
    return 3.0 + 0.1 * math.log10(rate / 1e-2) ** 2 + 10 / width + 0.003 * (-1) ** seed


def make(folder, widths=(16, 32), rates=RATES, seeds=(0, 1), diverged=()):
    """Trials, all of them with a result."""
    trials = []
    for number, (width, rate, seed) in enumerate((w, r, s) for w in widths for r in rates for s in seeds):
        levels = {"width": str(width), "rate": f"{rate:g}", "seed": str(seed)}
        trial = Trial(f"{number:016x}", levels, {})
        own = None if rate in diverged else loss(width, rate, seed)
        figures = {"heldout_bits": own, "train_loss": own, "parameters": 100.0 * width**2, "tokens": 1e5 * (1 + seed)}
        folder.write_trial(trial)
        folder.write_result(trial.id, {"metrics": figures, "diverged": own is None, "commit": "abc", "versions": {"jax": "1"},
                                       "device": "cpu x1", "data": ["d"]})  # fmt: skip
        trials.append(trial)
    return trials


def render(folder, study, trials, expected=None):
    found = folder.finished(trials)
    page.write(study, trials, found, folder, "python -m mdm.study --study=x", expected or len(trials))
    return folder.markdown.read_text(), folder.page.read_text()


@pytest.fixture
def folder(tmp_path):
    return StudyFolder(tmp_path / "study")


STUDY = tiny_study(analyses=(
    BestSetting("Best rate", x="rate", y="heldout_bits", by="width"), Curve("All", x="rate", y="train_loss", by=("width",)),
    PowerFit("Size", x="parameters", y="heldout_bits"), ScalingFit("Law", y="heldout_bits", expected=(7754.0, 0.84)),
))  # fmt: skip


def test_means_and_errors_over_seeds(folder):
    trials = make(folder)
    found = page.table(STUDY, folder.finished(trials), trials)
    assert found.header == ("width", "rate", "heldout_bits", "train_loss", "n") and len(found.cells) == 6
    assert found.cells[0] == ("16", "0.001", "3.725 ± 0.003", "3.725 ± 0.003", "2")


def test_the_page_holds_figures_fits_and_facts(folder):
    markdown, html = render(folder, STUDY, make(folder))
    assert "All 12 trials are finished" in markdown and "All 12 trials are finished" in html
    for text in ("Which?", "Best rate", "0.01", "python -m mdm.study --study=x", "abc", "jax 1", "cpu x1"):
        assert text in markdown and text in html, text
    assert html.count("<svg") == 4 and "moves by a factor of 1.00" in html
    for name in re.findall(r"\]\((figures/\d+\.svg)\)", markdown):
        assert (folder.path / name).read_text().startswith("<svg")
    assert "a power law needs 3" in html and "need 7" in html  # two sizes: told, not fitted
    assert (
        'name="viewport"' in html
        and "http://" not in re.sub(r'xmlns\S*="[^"]*"|<!--.*?-->', "", html).split("<body>")[0]
    )


def test_the_page_says_what_its_intervals_hold(folder):
    markdown, html = render(folder, STUDY, make(folder))
    for page_ in (markdown, html):
        assert "differences are over 2 seeds;" in page_ and "A seed sets training.seed and nothing else" in page_


@pytest.mark.parametrize("said", ["It agrees. By 2.5 (1 to 4) | and so on.", "It agrees."])
def test_a_conclusion_begins_with_its_verdict(folder, said):
    markdown, html = render(folder, dataclasses.replace(STUDY, conclusion=said), make(folder))
    assert "**Result. It agrees.**\n" in markdown and "<b>Result. It agrees" in html
    assert ("By 2.5 (1 to 4) \\| and so on.\n" in markdown) == ("2.5" in said)


def test_the_page_says_what_each_level_sets(folder):
    rates = Axis.of("rate", "optimizer.learning_rate", RATES)
    study = tiny_study(axes=(Axis("width", {"16": {"a.b": [1], "a.c": 0.1}, "32": {}}), rates))
    assert page.varied(study) == (
        ("width", "16", "a.b = [1], a.c = 0.1"),
        ("width", "32", "as the base has it"),
        ("rate", "", "optimizer.learning_rate: 0.001, 0.01, 0.1"),
    )
    markdown, html = render(folder, study, make(folder))
    assert "- width **16**: a.b = [1], a.c = 0.1" in markdown and "width <b>16</b>: a.b = [1], a.c = 0.1" in html
    assert "(table.csv)" in markdown and "(settings.json)" in markdown


def test_settings_that_were_searched_are_in_the_table(folder):
    search = Search("suggestion", {"optimizer.learning_rate": (1e-3, 1.0), "model.x": (1.0, 2.0)}, 2, "heldout_bits")
    trials = [
        dataclasses.replace(trial, levels={"suggestion": str(number), "seed": "0"},
                            config={"optimizer": {"learning_rate": 0.1 * (1 + number)}, "model": {"x": 1.5}})
        for number, trial in enumerate(make(folder)[:2])
    ]  # fmt: skip
    study = tiny_study(axes=(), seeds=(0,), search=search)
    markdown, _ = render(folder, study, trials)
    assert "| suggestion | learning_rate | x | heldout_bits |" in markdown and "| 1 | 0.2 | 1.5 |" in markdown
    assert "optimizer.learning_rate (0.001 to 1), model.x (1 to 2)." in markdown


def test_the_tables_hold_the_settings_of_each_trial(folder):
    trials = [
        dataclasses.replace(trial, config={"model": {"width": int(trial.levels["width"]), "depth": 2}, "stages": []})
        for trial in make(folder, widths=(16, 32), seeds=(0,))
    ]
    folder.write_table(trials, ("heldout_bits",))
    shared = json.loads(folder.settings.read_text())
    lines = folder.table.read_text().splitlines()
    assert shared == {"model.depth": 2, "stages": []}
    assert lines[0] == "id,width,rate,seed,heldout_bits,diverged,model.width" and lines[-1].endswith(",0,32")
    assert json.loads(folder.lines.read_text().splitlines()[-1])["config"] == trials[-1].config


def test_a_study_that_is_not_finished_says_so(folder):
    trials = make(folder)
    for trial in trials[5:]:
        (folder.trials / trial.id / "result.json").unlink()
    markdown, html = render(folder, STUDY, trials)
    assert "7 of 12 trials are missing" in markdown and "7 of 12 trials are missing" in html


def test_a_figure_that_a_trial_lacks_is_no_divergence(folder):
    trials = make(folder)
    for trial in trials[0], trials[2], trials[3]:  # one of two seeds, and both
        result = folder.read_result(trial.id)
        folder.write_result(trial.id, result | {"metrics": {**result["metrics"], "train_loss": None}})
    markdown, _ = render(folder, STUDY, trials)
    assert "(1 without)" in markdown and "| without |" in markdown and "(1 diverged)" not in markdown
    own = [
        Row(x, {"x": x}, {"y": y}, failed)
        for x, y, failed in (("1", None, False), ("2", None, True), ("3", 1.0, False))
    ]
    (series,) = lines(own, "x", "y", ())
    assert series.diverged == (2.0,) and series.x == (3.0,)


def test_a_study_that_has_not_begun_has_a_page(folder):
    trials = make(folder)
    for trial in trials:
        (folder.trials / trial.id / "result.json").unlink()
    assert "12 of 12 trials are missing" in render(folder, STUDY, trials)[1]


def test_runs_that_diverged_are_shown(folder):
    markdown, _ = render(folder, STUDY, make(folder, diverged=(1e-1,)))
    assert "4 of them diverged" in markdown and "| diverged |" in markdown
    first = (folder.figures / "00.svg").read_text()
    folder.figures.rmtree()
    render(folder, STUDY, make(folder))
    assert first.count("<use") != (folder.figures / "00.svg").read_text().count("<use")


def test_foreign_text_is_only_text(folder):
    study = tiny_study(
        title=HOSTILE, question=HOSTILE, expectation=HOSTILE, axes=(Axis(HOSTILE, {HOSTILE: {}}),),
        analyses=(Curve(HOSTILE, x="parameters", y="train_loss", by=(HOSTILE,)),),
    )  # fmt: skip
    trial = Trial("0" * 16, {HOSTILE: HOSTILE, "seed": "0"}, {})
    folder.write_trial(trial)
    figures = {"heldout_bits": 1.0, "train_loss": 1.0, "parameters": 1.0}
    result = {"metrics": figures, "diverged": False, "commit": HOSTILE, "versions": {}, "device": HOSTILE, "data": []}
    folder.write_result(trial.id, result)
    markdown, html = render(folder, study, [trial])
    assert "<script" not in html and "<script" not in markdown and "{{ 7 * 7 }}" in html
    header = next(line for line in markdown.splitlines() if line.startswith("| &lt;script"))
    assert len(re.findall(r"(?<!\\)\|", header)) == 5  # four columns


def test_the_same_study_gives_the_same_figures(folder):
    trials = make(folder)
    first = render(folder, STUDY, trials)
    assert render(folder, STUDY, trials) == first


def test_the_extra_is_named(folder, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(Refusal, match=r"mdm\[report\]"):
        page.write(STUDY, [], (), folder, "", 0)


def test_best_setting_by_group_moves_with_the_data(folder):
    trials = [Row(f"{w}{k}", {"width": str(w), "rate": str(2.0**k), "seed": "0"},
                  {"loss": (k - best) ** 2 + 0.01 * (k % 2)}, False)
              for w, best in ((16, -6), (32, -8)) for k in range(-11, -3)]  # fmt: skip
    found = BestSetting("t", x="rate", y="loss", by="width").find(trials)
    assert any("moves by a factor of 4." in text or "moves by a factor of 3.9" in text for text in found.statements)


def test_the_scaling_fit_compares_with_what_was_expected():
    runs = []
    for n in (1e6, 1e7, 1e8, 1e9):
        for d in (1e8, 1e9, 1e10, 1e11):
            value = 1.5 + 300 / n**0.3 + 900 / d**0.4
            runs.append(Row("x", {}, {"parameters": n, "tokens": d, "loss": value}, False))
    found = ScalingFit("t", y="loss", expected=(7754.0, 0.84)).find(runs)
    assert any("does not hold 0.84" in text for text in found.statements)
    cells = {name: own for name, *own in found.cells}
    assert cells["exponent of D*(N) = alpha / beta"][0].startswith("0.75")
    assert cells["D*(1e+06)"][1] == "8.5e+08 tokens" and found.header[-1] == "expected"  # 7754 x 1e6^0.84


def test_a_scaling_fit_with_reservations_has_no_verdict_and_marks_repeated_data():
    runs = []
    for n in (1e6, 2e6, 4e6):
        for d in (1e8, 2e8, 4e8):
            value = (1.5 + 300 / n**0.3 + 900 / d**0.4) * (1 + 0.02 * math.sin(n + d))
            passes = 2.0 if d > 3e8 else 0.5
            runs.append(Row("x", {}, {"parameters": n, "tokens": d, "loss": value, "passes": passes}, False))
    found = ScalingFit("t", y="loss", expected=(7754.0, 0.84)).find(runs)
    said = " ".join(found.statements)
    assert "no verdict" in said and "hold 0.84" not in said and "3 of 9 runs went through" in said
    assert sum(series.hollow for series in found.chart.series) == 3
    assert [cell[1] for cell in found.cells if cell[0].startswith(("D*(", "k of"))] == ["not determined"] * 4


def test_a_mean_leaves_out_what_diverged():
    found = rows.mean([1.0, 3.0, None, math.inf])
    assert (found.mean, found.count, found.others) == (2.0, 2, 2) and found.error == pytest.approx(1.0)
    assert rows.mean([None]).mean is None and rows.mean([5.0]).error is None
    told = [rows.mean(values).told("diverged") for values in ([1.0, 2.0], [0.1, 0.1, 0.1], [None], [1.0, None])]
    assert told == ["1.5 ± 0.5", "0.1", "diverged", "1 (1 diverged)"]
