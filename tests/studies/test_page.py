"""The page is made of what is finished, says what is missing, and holds foreign text as text."""

import math
import re

import pytest

from mdm.problems import Refusal
from mdm.studies import page, rows
from mdm.studies.analyses.best_setting import BestSetting
from mdm.studies.analyses.curve import Curve
from mdm.studies.analyses.power_fit import PowerFit
from mdm.studies.analyses.scaling_fit import ScalingFit
from mdm.studies.folder import StudyFolder
from mdm.studies.plan import Trial
from mdm.studies.rows import Row
from mdm.studies.study import Axis
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
    found = page.table(STUDY, folder.finished(trials))
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


def test_a_study_that_is_not_finished_says_so(folder):
    trials = make(folder)
    for trial in trials[5:]:
        (folder.trials / trial.id / "result.json").unlink()
    markdown, html = render(folder, STUDY, trials)
    assert "7 of 12 trials are missing" in markdown and "7 of 12 trials are missing" in html


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
    assert "moves by a factor of 4." in found.statements[-1] or "moves by a factor of 3.9" in found.statements[-1]


def test_the_scaling_fit_compares_with_what_was_expected():
    runs = []
    for n in (1e6, 1e7, 1e8, 1e9):
        for d in (1e8, 1e9, 1e10, 1e11):
            value = 1.5 + 300 / n**0.3 + 900 / d**0.4
            runs.append(Row("x", {}, {"parameters": n, "tokens": d, "loss": value}, False))
    found = ScalingFit("t", y="loss", expected=(7754.0, 0.84)).find(runs)
    assert any("does not hold 0.84" in text for text in found.statements)
    assert dict(found.cells)["exponent of D*(N) = alpha / beta"].startswith("0.75")


def test_a_mean_leaves_out_what_diverged():
    found = rows.mean([1.0, 3.0, None, math.inf])
    assert (found.mean, found.count, found.diverged) == (2.0, 2, 2) and found.error == pytest.approx(1.0)
    assert rows.mean([None]).mean is None and rows.mean([5.0]).error is None
