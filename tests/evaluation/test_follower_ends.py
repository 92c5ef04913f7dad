"""When the follower believes that a run has ended."""

import os

import pytest

from mdm.evaluation.follower import POLL
from mdm.problems import Refusal
from tests.evaluation.play import nothing


def test_the_last_step_is_evaluated_whenever_the_end_is_marked(play):
    play.script = [lambda: (play.save(2), play.end())]
    play.follower().follow()
    assert play.evaluated == [2]


def test_a_run_that_ends_while_its_steps_are_listed_is_not_left_early(play, monkeypatch):
    follower = play.follower()
    listed, happens = follower._reader.steps, [lambda: (play.save(7), play.end())]

    def steps():
        found = listed()
        if happens:  # what the run did between this look and the next
            happens.pop()()
        return found

    monkeypatch.setattr(follower._reader, "steps", steps)
    play.script = [lambda: None]
    follower.follow()
    assert play.evaluated == [7]


def test_an_unsealed_step_is_not_waited_for_behind_the_end(play):
    play.save(1, sealed=False)
    play.end()
    play.follower().follow()
    assert play.evaluated == [1]


def test_a_run_that_ended_without_a_checkpoint_is_refused(play):
    play.end()
    with pytest.raises(Refusal, match="holds no whole checkpoint"):
        play.follower().follow()


@pytest.mark.parametrize("content", ['{"reason": "token', "{}", "3"])
def test_half_an_end_marker_is_read_again(play, content):
    play.save(1)
    play.script = [lambda: play.folder.end.write_text(content), nothing, play.end]
    play.follower().follow()
    assert play.evaluated == [1] and not play.script


def test_an_end_that_is_taken_back_while_it_is_read_is_none(play, monkeypatch):
    play.save(1)
    play.folder.mark_end("token budget reached", 1)
    real = play.folder.read_json

    def taken_back(path):
        if play.folder.end.exists():
            play.folder.clear_end()
        return real(path)

    monkeypatch.setattr(play.folder, "read_json", taken_back)
    play.script = [lambda: (monkeypatch.undo(), play.end())]
    play.follower().follow()
    assert not play.script


def test_what_ended_the_run_is_told(play, caplog):
    caplog.set_level("INFO")
    play.save(1)
    play.folder.mark_end("code 3: Diverged: rows 4 to 7", 1)
    play.follower().follow()
    assert "the run has ended: code 3: Diverged: rows 4 to 7, at step 1" in caplog.text


def test_an_end_of_an_earlier_start_is_not_that_of_the_trainer_beside_it(play):
    """The trainer of the same launch needs a while until it holds the run."""
    play.save(1)
    play.end()
    seen = []
    play.script = [nothing, play.folder.clear_end, lambda: play.save(2), lambda: seen.extend(play.evaluated), play.end]
    play.follower(await_start=1000.0).follow()
    assert seen == play.evaluated == [1, 2] and play.now == 5 * POLL


def test_an_end_that_is_written_again_is_believed(play):
    """By a trainer that had nothing left to do, between two looks."""
    play.end()
    play.save(1)

    def again():
        os.utime(play.folder.end, (0, 0))

    play.script = [nothing, again]
    play.follower(await_start=1000.0).follow()
    assert play.evaluated == [1] and not play.script


@pytest.mark.parametrize("await_start, polls", [(0.0, 0), (3 * POLL, 3)])
def test_an_end_that_nobody_takes_back_is_believed(play, await_start, polls):
    play.end()
    play.save(1)
    play.script = [nothing] * polls
    play.follower(await_start=await_start).follow()
    assert play.evaluated == [1] and not play.script


def test_an_end_that_came_later_is_believed_at_once(play):
    play.save(1)
    play.script = [nothing, play.end]
    play.follower(await_start=1000.0).follow()
    assert play.now == 2 * POLL
