"""Starts: what each wrote down, and when it makes no sense to start again."""

import errno
import os
import time

import pytest

from mdm import exits
from mdm.problems import Fault, Problem, Refusal
from mdm.runs import starts
from mdm.runs.folder import RunFolder
from mdm.runs.preemption import Preempted
from mdm.runs.starts import Start, Stuck
from tests.busy import Busy


def start(number, reached, code=None):
    return Start(number, "host", 0.0, 0.0, 0, reached, code=code)


@pytest.mark.parametrize(
    "ends, told",
    [
        ([], False),
        ([(0, None), (0, None)], False),
        ([(0, None), (0, exits.FAULT), (0, exits.HUNG)], True),
        ([(4, None), (4, None), (4, None), (4, None)], True),  # the same four steps again and again
        ([(0, None), (4, None), (4, None), (5, None)], False),
        ([(0, None), (0, exits.PREEMPTED), (0, None), (0, None)], False),  # being asked to go is no fault
        (
            [(0, None), (0, None), (0, None), (0, exits.STUCK), (0, None)],
            False,
        ),  # somebody looked, and started it again
        ([(8, 0), (8, 0), (8, 0), (8, 0)], False),  # a finished run
    ],
)
def test_stuck_means_start_after_start_without_a_new_step(ends, told):
    own = [start(number, *end) for number, end in enumerate(ends, 1)]
    assert (starts.stuck(own, 3) is not None) == told
    assert starts.stuck(own, 0) is None


@pytest.mark.parametrize(
    "ends, told",
    [
        ([(0, 100), (60, 70), (60, 70), (60, 70)], False),  # the checkpoint of step 90 was damaged: 70 is new behind 60
        ([(0, 100), (60, 70), (60, 70), (60, 70), (60, 70)], True),
        ([(0, 100), (60, 75), (70, 85), (80, 95), (90, 99)], False),  # it never comes behind step 100, and gets on
        ([(0, 40), (30, 30), (30, 30), (30, 30)], True),
        ([(0, 40), (None, 0), (None, 0), (None, 0)], True),
    ],
)
def test_progress_is_counted_from_what_a_start_restored(ends, told):
    own = [Start(number, "host", 0.0, 0.0, *end) for number, end in enumerate(ends, 1)]
    assert (starts.stuck(own, 3) is not None) == told


def test_a_run_that_is_given_up_has_ended_at_the_step_that_it_had_reached(tmp_path):
    folder = RunFolder(tmp_path / "run")
    for restored, reached in ((5, 7), (6, 6), (None, 0)):
        with pytest.raises(OSError), starts.begin(folder, 0) as starting:
            if restored:
                starting.update(restored=restored, reached=reached)
            raise OSError("no such chip")
    assert starts.reached(starts.read(folder)) == 6
    with pytest.raises(Stuck), starts.begin(folder, 2):
        pass
    assert folder.read_end()["step"] == 6
    folder.clear_end()
    for code in (exits.HUNG, exits.HUNG, exits.STUCK):  # the one that was refused has told whoever has to act
        assert starts.hung(folder, 2, time.time(), "HUNG: no step", None)[0] == code
    assert folder.read_end()["step"] == 6


def test_a_start_writes_down_how_far_it_came_and_how_it_ended(tmp_path):
    folder = RunFolder(tmp_path / "run")
    with starts.begin(folder, 0) as starting:
        starting.update(restored=3, reached=7, seconds={"step": 1.5})
        (running,) = starts.read(folder)
        assert (running.restored, running.reached, running.seconds, running.code) == (3, 7, {"step": 1.5}, None)
    for error in (Preempted("asked to go"), ValueError("what?")):
        with pytest.raises(type(error)), starts.begin(folder, 0):
            raise error
    own = starts.read(folder)
    assert [one.number for one in own] == [1, 2, 3] and [one.code for one in own] == [0, exits.PREEMPTED, exits.FAULT]
    assert "what?" in own[-1].reason and own[-1].alive >= own[-1].began


def test_a_run_that_does_not_get_on_is_given_up_with_the_reason_and_may_be_started_by_hand(tmp_path):
    folder = RunFolder(tmp_path / "run")
    for _ in range(2):
        with pytest.raises(OSError), starts.begin(folder, 2):
            raise OSError("no such chip")
    with pytest.raises(Stuck, match="2 starts in a row .*no such chip") as stuck, starts.begin(folder, 2):
        pytest.fail("it was started")
    assert stuck.value.code == exits.STUCK
    with starts.begin(folder, 2):
        pass


def test_a_killed_start_leaves_nothing_that_hinders_the_next(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.start(1).mkdir(parents=True)  # killed between two instructions
    folder.start(2).mkdir()
    (folder.start(2) / "start.json").write_text('{"number": 2, "ho')
    with starts.begin(folder, 1) as starting:
        assert starting.now.number == 3 and starts.read(folder) == (starting.now,)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Refusal, match="file/run"), starts.begin(RunFolder(tmp_path / "file" / "run"), 0):
        pass


def test_where_no_lock_holds_a_later_start_ends_the_one_before_it(tmp_path):
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(Refusal, match="a later start of this run"), starts.begin(folder, 0) as first:
        assert not first.superseded()
        first.refuse_superseded()
        assert starts._taken(folder, 2) and not starts._taken(folder, 2)
        assert first.superseded() and not starts.Starting(folder, 2).superseded()
        first.refuse_superseded()
    assert starts.read(folder)[0].code == exits.REFUSED


def test_a_code_of_http_is_none_of_a_process(tmp_path):
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(Busy), starts.begin(folder, 0):
        raise Busy("try again later")
    assert starts.read(folder)[0].code == exits.FAULT


@pytest.mark.parametrize("number, kind", [(errno.EROFS, Refusal), (errno.ESTALE, Fault), (None, Fault)])
def test_a_folder_whose_storage_does_not_answer_is_tried_again(tmp_path, monkeypatch, number, kind):
    def fails(*_):
        raise OSError(number, "no answer") if number else ConnectionError("no answer")

    monkeypatch.setattr(starts.atomic, "create", fails)
    with pytest.raises(kind, match="no answer"), starts.begin(RunFolder(tmp_path / "run"), 0):
        pass


def test_a_sign_of_life_waits_for_no_disk_and_an_end_does(tmp_path, monkeypatch):
    """Each line of the log writes one."""
    with starts.begin(RunFolder(tmp_path / "run"), 0) as starting:
        synced = []
        monkeypatch.setattr(os, "fsync", synced.append)
        starting.update(reached=1)
        assert synced == [] and starts.read(RunFolder(tmp_path / "run"))[0].reached == 1
    assert len(synced) == 2


def test_what_cannot_be_written_down_costs_nothing_else(tmp_path, monkeypatch):
    with starts.begin(RunFolder(tmp_path / "run"), 0) as starting:
        for error in (OSError("No space left on device"), Busy("try again later")):

            def fails(*_, error=error):
                raise error

            monkeypatch.setattr(starts.atomic, "write_text", fails)
            starting.update(reached=1)
            starting.write_made({})
            starting.write_placement("")
    assert os.path.exists(starting.folder / "start.json")


@pytest.mark.parametrize("code, ends", [(exits.REFUSED, False), (exits.DIVERGED, True), (exits.STUCK, True),
                                        (exits.FAULT, False), (exits.PREEMPTED, False)])  # fmt: skip
def test_the_run_has_ended_when_its_training_has_gone_wrong(tmp_path, code, ends):
    folder, error = RunFolder(tmp_path / "run"), Refusal(Problem("rows 4 to 7", None, "not finite", "look at them"))
    error.code = code
    with pytest.raises(Refusal), starts.begin(folder, 0) as starting:
        starting.update(reached=7)
        raise error
    end = folder.read_end()
    assert (end is not None) == ends
    if ends:
        assert end["step"] == 7 and end["reason"].startswith(f"code {code}: rows 4 to 7")


def test_a_start_that_did_nothing_leaves_an_end_that_was_there(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.create()
    folder.mark_end("token budget reached", 9)
    with pytest.raises(Stuck), starts.begin(folder, 0):
        raise Stuck(Problem("start 3", None, "brought no step", "look into it"))
    assert folder.read_end()["step"] == 9


@pytest.mark.parametrize(
    "error, goes_on, there",
    [
        (Refusal(Problem("data", None, "do not fit", "restore them")), False, True),
        (Refusal(Problem("data", None, "do not fit", "restore them")), True, False),
        (Fault("storage does not answer"), False, False),  # it is started again
    ],
)
def test_an_end_is_taken_back_at_once_and_stays_where_a_start_is_refused(tmp_path, error, goes_on, there):
    folder = RunFolder(tmp_path / "run")
    folder.create()
    folder.mark_end("token budget reached", 9)
    with pytest.raises(type(error)), starts.begin(folder, 0) as starting:
        assert folder.read_end() is None
        if goes_on:
            starting.goes_on()
        raise error
    assert folder.read_end() == ({"reason": "token budget reached", "step": 9} if there else None)


@pytest.mark.parametrize("content", ['{"reason": "tok', "{}", "3"])
def test_a_damaged_end_is_in_nobodys_way(tmp_path, content):
    folder = RunFolder(tmp_path / "run")
    folder.create()
    folder.end.write_text(content)
    with pytest.raises(Refusal, match="do not fit"), starts.begin(folder, 0):
        assert not folder.end.exists()
        raise Refusal(Problem("data", None, "do not fit", "restore them"))


def test_a_refused_start_that_is_not_the_last_one_brings_no_end_back(tmp_path):
    """Where no lock holds, the later one goes on."""
    folder = RunFolder(tmp_path / "run")
    folder.create()
    folder.mark_end("token budget reached", 9)
    with pytest.raises(Refusal), starts.begin(folder, 0):
        folder.start(2).mkdir()
        starts.Starting(folder, 2)
        raise Refusal(Problem("start 2", None, "has begun", "end one of them"))
    assert folder.read_end() is None


def test_another_job_that_is_refused_does_not_end_the_run(tmp_path):
    folder = RunFolder(tmp_path / "run")
    with starts.begin(folder, 0):
        with pytest.raises(Refusal, match="another job"), starts.begin(folder, 0):
            pass
        assert folder.read_end() is None
