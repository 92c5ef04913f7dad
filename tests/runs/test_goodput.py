"""The time of a run, over all its starts: every second once."""

import pytest

from mdm.runs import goodput
from mdm.runs.starts import Start


def start(number, began, alive, restored, reached, **seconds):
    return Start(number, "host", began, alive, restored, reached, seconds)


def test_a_run_in_one_go():
    found = goodput.account([start(1, 100.0, 160.0, 0, 30, step=45.0, compile=10.0, input_wait=1.0)])
    assert found == {"step": 45.0, "redone": 0.0, "downtime": 0.0, "other": 4.0, "compile": 10.0, "input_wait": 1.0}


def test_steps_that_were_made_again_and_the_time_between_starts_are_lost():
    own = [
        start(1, 0.0, 50.0, 0, 40, step=40.0, compile=10.0),  # checkpoints at 30
        start(2, 60.0, 65.0, None, 0),  # killed before it had read one
        start(3, 70.0, 100.0, 30, 50, step=20.0, restore=5.0),
    ]
    found = goodput.account(own)
    assert found["redone"] == pytest.approx(10.0) and found["step"] == pytest.approx(50.0)
    assert found["downtime"] == 15.0 and found["restore"] == 5.0 and found["compile"] == 10.0
    assert found["other"] == pytest.approx(10.0)
    assert sum(found.values()) == pytest.approx(100.0)
    assert goodput.figures(own)["goodput/step"] == pytest.approx(0.5)


def test_a_checkpoint_that_was_passed_over_takes_steps_of_several_starts_with_it():
    own = [
        start(1, 0.0, 10.0, 0, 10, step=10.0),
        start(2, 10.0, 20.0, 10, 20, step=10.0),
        start(3, 20.0, 30.0, 5, 15, step=10.0),
    ]
    found = goodput.account(own)
    assert found["redone"] == pytest.approx(5.0 + 10.0) and found["step"] == pytest.approx(5.0 + 10.0)


def test_no_time_has_passed_where_a_clock_went_backward():
    own = [
        start(1, 100.0, 110.0, 0, 10, step=10.0),
        start(2, 104.0, 110.0, 10, 16, step=6.0),  # six seconds back
        start(3, 112.0, 111.0, 16, 20, step=3.0),
    ]
    found = goodput.account(own)
    assert min(found.values()) >= 0 and found["downtime"] == 2.0 and found["other"] == 0.0
    assert sum(goodput.figures(own).values()) == pytest.approx(1.0)
    assert "clocks went backward, by 7.0 s" in goodput.report(own) and "backward" not in goodput.report(own[:1])


def test_nothing_is_nothing():
    assert sum(goodput.account([]).values()) == 0 and goodput.figures([])["goodput/step"] == 0


def test_the_table_begins_with_the_largest_part():
    lines = goodput.table({"step": 30.0, "compile": 60.0, "other": 10.0}).splitlines()
    assert [line.split()[0] for line in lines] == ["compile", "step", "other"] and lines[0].endswith("60.0%")
