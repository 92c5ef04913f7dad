"""The follower against a run that is played: steps come, vanish, are damaged, arrive late; nothing that stayed is missed."""

import contextlib
import os

import pytest

from mdm.evaluation.follower import PATIENCE, POLL, RETRY
from mdm.problems import Problem, Refusal
from tests.busy import Busy
from tests.evaluation.play import nothing


def test_it_begins_before_the_run_and_ends_with_it(play):
    nothing = lambda: None  # noqa: E731
    play.script = [nothing, lambda: play.save(2), nothing, lambda: play.save(4, 6), play.end]
    play.follower().follow()
    assert play.evaluated == [2, 4, 6]


def test_what_vanishes_is_missed_and_what_stays_is_not(play, caplog):
    """The run keeps its newest two while the follower is slow."""
    play.save(1, 2)

    def during(step):
        if step == 1:  # while it is at work the run goes on, and deletes the very step that is read
            play.save(3, 4)
            play.delete(1, 2)

    play.script = [play.end]
    play.follower(during).follow()
    assert play.evaluated == [3, 4]
    assert "step 1 is missed" in caplog.text


def test_a_damaged_step_is_passed_over_and_tried_again_once_it_is_mended(play, caplog):
    play.save(1, 2, 3)
    play.broken = {2}
    follower = play.follower()

    def mend():
        play.broken.clear()
        (play.folder.checkpoints / "2" / "mended").touch()

    play.script = [lambda: None, mend, play.end]
    follower.follow()
    assert play.evaluated == [1, 3, 2] and caplog.text.count("step 2 is passed over") == 1


def test_what_was_passed_over_and_stayed_is_told_at_the_end(play):
    play.save(1, 2, 3)
    play.broken = {1, 2}
    play.script = [lambda: play.delete(1), play.end]
    with pytest.raises(Refusal, match="checkpoints/2") as refusal:
        play.follower().follow()
    assert len(refusal.value.problems) == 1 and play.evaluated == [3]


def test_a_step_without_a_seal_is_waited_for_but_not_for_ever(play):
    play.save(1, sealed=False)
    play.save(2)
    seen = []
    play.script = [lambda: seen.append(list(play.evaluated))] * int(PATIENCE / POLL) + [play.end]
    play.follower().follow()
    assert play.evaluated == [2, 1] and seen[-1] == [2] and len(seen) == PATIENCE / POLL


def test_what_is_finished_is_not_evaluated_again(play):
    play.save(1, 2)
    play.finished = {1}
    play.end()
    play.follower().follow()
    assert play.evaluated == [2]


def test_a_folder_that_cannot_be_read_for_a_while_is_survived(play, monkeypatch, caplog):
    play.save(1)
    follower = play.follower()
    steps = follower._reader.steps
    failures = [OSError("unreachable")] * 2

    def flaky():
        if failures:
            raise failures.pop()
        return steps()

    monkeypatch.setattr(follower._reader, "steps", flaky)
    play.script = [lambda: None, play.end]
    follower.follow()
    assert play.evaluated == [1] and caplog.text.count("it is tried again") == 2


@pytest.mark.parametrize(
    "call, of",
    [("iterdir", "checkpoints"), ("exists", "config.json"), ("exists", "seal.json"), ("exists", "codecs"),
     ("read_bytes", "end.json"), ("stat", "end.json"), ("stat", "config.json"), ("exists", "run")],
)  # fmt: skip
def test_a_store_that_does_not_answer_for_a_while_is_survived(play, monkeypatch, call, of):
    """Whatever its client raises, and whatever is asked for."""
    play.save(1)
    play.broken = {1}  # so that it is asked whether its files have changed
    real, busy = getattr(type(play.folder.path), call), []

    def flaky(path, *given, **more):
        if path.name == of and len(busy) < 2:
            busy.append(path)
            raise Busy("try again later")
        return real(path, *given, **more)

    monkeypatch.setattr(type(play.folder.path), call, flaky)
    play.script = [nothing, nothing, play.broken.clear, lambda: play.save(2), nothing, play.end, *[nothing] * 3]
    with contextlib.suppress(Refusal):
        play.follower().follow()
    assert busy and 2 in play.evaluated


def test_a_copy_whose_settings_come_later_is_waited_for(play, whole):
    play.save(1)
    play.folder.config.unlink()
    asked = []

    def finished(step):
        asked.append(step)
        play.folder.read_json(play.folder.config)
        return False

    follower = play.follower()
    follower._finished = finished
    play.script = [nothing, lambda: play.folder.write_json(play.folder.config, {}), play.end]
    follower.follow()
    assert play.evaluated == [1] and asked == [1]


def test_a_step_is_tried_again_when_a_file_of_the_run_arrives(play):
    """The vocabulary is behind the settings in a copy."""
    play.save(1)
    play.broken = {1}

    def arrives():
        play.folder.write_json(play.folder.vocabulary, {})
        play.broken.clear()

    seen = []
    play.script = [nothing, arrives, lambda: seen.extend(play.evaluated), play.end]
    play.follower().follow()
    assert seen == play.evaluated == [1]


def test_what_cannot_be_asked_is_told_by_the_evaluation(play):
    play.save(1)
    play.end()
    follower = play.follower()

    def refused(step):
        raise Refusal(Problem("the data set", None, "is not there", "name it"))

    follower._finished = refused
    follower._evaluate = refused
    with pytest.raises(Refusal, match="the data set"):
        follower.follow()


def test_what_the_storage_does_not_give_is_asked_for_again_though_no_file_changes(play, caplog):
    play.save(1, 2)
    play.failing = {1}
    polls = int(RETRY / POLL)
    play.script = [*[nothing] * (polls - 1), play.failing.clear, *[nothing] * 2, play.end]
    seen = []
    play.script.insert(-1, lambda: seen.extend(play.evaluated))
    play.follower().follow()
    assert seen == play.evaluated == [2, 1] and caplog.text.count("step 1 is passed over") == 1


def test_what_the_storage_did_not_give_is_asked_for_once_more_at_the_end(play):
    play.save(1)
    play.failing = {1}
    play.script = [lambda: (play.failing.clear(), play.end())]
    play.follower().follow()
    assert play.evaluated == [1]
    play.save(2)
    play.failing = {2}
    with pytest.raises(Refusal, match="step 2: Input/output error"):
        play.follower().follow()


def test_a_finished_step_is_not_asked_for_again(play):
    play.save(1, 2)
    play.finished = {1}
    follower, asked = play.follower(), []
    real = follower._finished
    follower._finished = lambda step: asked.append(step) or real(step)
    play.script = [nothing, nothing, play.end]
    follower.follow()
    assert asked == [1, 2] and play.evaluated == [2]


@pytest.mark.parametrize("follow", [True, False])
def test_steps_whose_storage_fails_for_long_are_tried_in_turn_and_do_not_keep_each_other_alive(play, follow):
    """A client tries for minutes: when one step has failed, the one before it is due again."""
    play.save(1, 2, 3)
    play.failing = {1, 2, 3}
    play.end()
    tried = []

    def during(step):
        tried.append(step)
        play.now += 2 * RETRY
        assert len(tried) < 20, "it never ends"

    follower = play.follower(during)
    with pytest.raises(Refusal) as refusal:
        if follow:
            follower.follow()
        else:
            follower.catch_up()
            follower.finish()
    assert tried == [1, 2, 3, 1, 2, 3] and len(refusal.value.problems) == 3


def test_a_step_that_comes_while_others_fail_has_its_turn(play):
    play.save(1, 2)
    play.failing = {1, 2}

    def during(step):
        play.now += 2 * RETRY
        assert play.now < 40 * RETRY, "it never ends"
        if step == 2 and not (play.folder.checkpoints / "3").exists():
            play.save(3)

    play.script = [lambda: (play.failing.clear(), play.end())]
    play.follower(during).follow()
    assert play.evaluated == [3, 1, 2]


def test_a_step_that_is_written_again_is_asked_for_again(play):
    play.save(1, 2)

    def again():
        play.delete(1)
        play.save(1)
        os.utime(play.folder.checkpoints / "1" / "seal.json", (0, 0))
        play.finished.discard(1)

    play.script = [nothing, again, nothing, play.end]
    play.follower().follow()
    assert play.evaluated == [1, 2, 1]
