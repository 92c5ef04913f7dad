"""Levels are compared seed by seed; figures within a trial."""

import dataclasses

import pytest

from mdm.studies.analyses.best_setting import BestSetting
from mdm.studies.analyses.comparison import Comparison
from mdm.studies.analyses.ratios import Ratios
from mdm.studies.rows import Row

NAMES = {"loss", "noise/a", "noise/b"}
LEVELS = [{"way": way, "size": size, "seed": seed} for way in ("a", "b") for size in "12" for seed in "012"]


def rows(gain=0.1):
    """Seeds differ by 10; the way b is better by `gain`, a little different in each pair."""
    found = []
    for number, level in enumerate(LEVELS):
        wobble = 0.001 * number
        loss = 10.0 * int(level["seed"]) - (gain + wobble if level["way"] == "b" else 0.0)
        figures = {"loss": loss, "noise/a": 8.0 + wobble, "noise/b": 4.0}
        found.append(Row(str(number), level, figures, False))
    return found


def test_a_difference_far_below_the_scatter_of_seeds_is_found():
    finding = Comparison("Ways", "way", "a", ("loss",)).find(rows())
    ((label, cell),) = finding.cells
    assert label == "b" and cell.startswith("-0.1085 (") and cell.endswith("≠ [6]")
    assert finding.chart.names == ("b",) and finding.chart.zero == 0.0
    chosen = Comparison("Ways", "way", "a", ("loss",), where={"size": "2"}).find(rows())
    assert chosen.cells[0][1].endswith("[3]")
    both = Comparison("Ways", "way", "a", ("loss",), where=({"size": "1"}, {"size": "2", "seed": "0"})).find(rows())
    assert both.cells[0][1].endswith("[4]")


def test_bars_reach_as_far_as_the_interval_to_each_side():
    finding = Ratios("Noise", ("noise/a", "noise/b"), "noise/a").find(rows())
    (series,) = finding.chart.series
    ((below, above),) = series.error
    low, high = (float(end) for end in finding.cells[0][1].partition("(")[2].partition(")")[0].split(" to "))
    assert series.y[0] - below == pytest.approx(low, abs=1e-3) and series.y[0] + above == pytest.approx(high, abs=1e-3)
    assert below < above


def test_levels_of_another_axis_are_compared_for_themselves():
    finding = Comparison("Ways", "way", "a", ("loss",), by=("size",)).find(rows())
    assert finding.header == ("way", "size", "loss") and [cell[:2] for cell in finding.cells] == [
        ("b", "1"),
        ("b", "2"),
    ]
    assert all(cell[2].endswith("≠ [3]") for cell in finding.cells) and finding.chart.names == ("1", "2")
    assert "2 comparisons" in finding.statements[0]
    assert "is not an axis" in told(Comparison("x", "way", "a", ("loss",), by=("colour",)))


def test_a_diverged_run_is_no_pair():
    own = rows()
    own[0].metrics["loss"] = None
    assert Comparison("Ways", "way", "a", ("loss",)).find(own).cells[0][1].endswith("[5]")
    assert Comparison("Ways", "way", "a", ("loss",)).find([]).statements == ("No pair is finished.",)


def test_ratios_within_a_trial():
    finding = Ratios("Noise", ("noise/a", "noise/b"), "noise/a").find(rows())
    ((label, cell),) = finding.cells
    assert label == "noise/b" and cell.startswith("0.49") and cell.endswith("≠ [12]")


def told(analysis):
    return " ".join(map(str, analysis.problems("at", ("way", "size", "seed"), NAMES, LEVELS)))


def test_what_does_not_exist_is_named():
    assert told(Comparison("x", "way", "a", ("loss",))) == told(Ratios("x", ("noise/a",), "noise/b")) == ""
    assert "did you mean loss?" in told(Comparison("x", "way", "a", ("los",)))
    assert "'c': is not a level" in told(Comparison("x", "way", "c", ("loss",)))
    assert "is not an axis" in told(Comparison("x", "colour", "c", ("loss",)))
    assert "is not an axis" in told(Comparison("x", "way", "a", ("loss",), where={"colour": "red"}))
    assert "noise/c" in told(Ratios("x", ("noise/a", "noise/c"), "noise/a"))
    assert "2 levels of size" in told(BestSetting("x", "size", "loss", where={"way": "a"}))


def test_lines_of_numbers_come_in_their_order():
    own = [
        dataclasses.replace(row, levels={**row.levels, "size": "10" if row.levels["size"] == "1" else "2"})
        for row in rows()
    ]
    chart = BestSetting("x", "seed", "loss", "size").find(own).chart
    assert [series.label for series in chart.series if not series.fit] == ["2", "10"]


def test_levels_may_share_their_trials():
    own = [dataclasses.replace(row, levels={**row.levels, "seed": f"{2 ** int(row.levels['seed'])}"}) for row in rows()]
    finding = BestSetting("x", "seed", "loss", "size", where=({"way": "b"}, {"way": "a", "size": "1"})).find(own)
    assert [cell[4] for cell in finding.cells] == ["6 (0 left out)", "3 (0 left out)"]
    assert "'c': is not a level" in told(BestSetting("x", "seed", "loss", "size", where=({"way": "a"}, {"way": "c"})))


def test_the_drift_of_a_best_setting_is_compared_with_what_was_expected():
    levels = [(width, rate, seed) for width in (1, 2, 4, 8) for rate in (0.25, 0.5, 1, 2, 4) for seed in (0, 1)]
    own = []
    for width, rate, seed in levels:
        best = 1.5 * width**-0.5
        loss = 1 + 0.1 * (rate / best - 1) ** 2 / (rate / best) + 1e-4 * (-1) ** seed
        own.append(Row("x", {"width": str(width), "rate": str(rate), "seed": str(seed)}, {"loss": loss}, False))
    (statement,) = [
        s for s in BestSetting("x", "rate", "loss", "width", 2, expected=-0.5).find(own).statements if "power" in s
    ]
    assert "-0.5" in statement and "the interval holds" in statement
    (statement,) = [
        s for s in BestSetting("x", "rate", "loss", "width", 2, expected=0.0).find(own).statements if "power" in s
    ]
    assert "does not hold" in statement
    flat = [Row("x", row.levels, {"loss": -row.metrics["loss"]}, False) for row in own]
    (statement,) = [
        s for s in BestSetting("x", "rate", "loss", "width", expected=0.0).find(flat).statements if "One" in s
    ]
    assert "no verdict" in statement and "holds" not in statement
