"""The loop can be killed between any two instructions: what it writes is what one run would have written."""

import dataclasses
import shutil

import jax
import numpy as np
import pytest

from mdm.data import manifest
from mdm.data.mixture import Stage
from mdm.data.pipeline import Rows
from mdm.model import flops
from mdm.model.network import Network
from mdm.problems import Fault, Problem, Refusal
from mdm.runs import log, starts
from mdm.runs.checkpoint import CheckpointReader
from mdm.runs.folder import RunFolder
from mdm.runs.log import MetricsLog
from mdm.training import loop
from mdm.training.around import Around
from mdm.training.health import Diverged, Health
from mdm.training.loop import train
from tests.training.curves import GOODPUT, HOST, TIMES, curve


def run(job, path) -> RunFolder:
    folder = RunFolder(path)
    with starts.begin(folder, job.guards.starts) as starting:
        train(job, folder, starting, Around())
    return folder


@pytest.fixture(scope="module")
def whole(make_job, tmp_path_factory):
    """An uninterrupted run of 24 steps, a checkpoint every 6, a line every 4."""
    return run(make_job(), tmp_path_factory.mktemp("whole"))


def test_a_run_ends_and_says_so(whole):
    assert whole.read_end() == {"reason": "token budget reached", "step": 24}
    assert [line["step"] for line in log.read(whole)] == [4, 8, 12, 16, 20, 24]
    assert CheckpointReader(whole.checkpoints).steps() == [6, 12, 18, 24]


def test_a_line_holds_what_was_promised(whole):
    line = log.read(whole)[-1]
    for name in (
        "loss", *TIMES, *HOST, *GOODPUT, "updates_skipped", "gradient_norm/all", "gradient_norm/unembedding",
        "elbo_bits/text", "elbo_bits/image", "elbo_bits/audio", "elbo_bits/text-to-image/image", "share_of_rows/text",
        "share_of_targets/image", "share_of_masked/audio", "bits_by_ratio/text/0.5", "tokens", "tokens_processed",
    ):  # fmt: skip
        assert name in line, name
    assert line["share_of_rows/text"] == 0.5 and line["share_of_rows/image-text"] == 0.25  # 32 rows: whole blocks
    assert line["tokens"] == 24 * 8 * 96


def test_a_line_tells_how_often_each_stream_was_gone_through(make_job, whole):
    job = make_job()
    rows = Rows(job.data, job.corruption.views)
    for line in log.read(whole):
        drawn, _ = rows.locate(np.arange(line["step"] * 8))
        found = {stream.name: line[f"passes/{stream.name}"] for stream in rows.streams}
        assert found == {s.name: pytest.approx((drawn == n).sum() / s.rows) for n, s in enumerate(rows.streams)}
    assert all(found.values())


def test_the_chores_of_the_loop_are_part_of_its_time(whole):
    for line in log.read(whole):
        chores = [line[f"{chore}_share"] for chore in ("input_wait", "save", "log")]
        assert all(0 <= share < 1 for share in chores) and sum(chores) < 1
        assert "mfu" not in line  # nobody has written down the peak of this processor
    assert sum(line["save_share"] > 0.001 for line in log.read(whole)) >= 2  # steps 6 and 18 save between two lines


def test_flops_of_a_window_are_those_of_its_rows(make_job, whole):
    line, job = log.read(whole)[-1], make_job()
    rows = 4 * 8
    body = 3 * rows * flops.body(job.model, job.data.row_length)
    found = line["model_flops_per_second"] * line["seconds"]
    assert body < found < 1.5 * body  # the rest is the head's


def test_a_profile_is_recorded_and_changes_nothing(make_job, whole, tmp_path):
    job = make_job()
    profile = dataclasses.replace(job.training.profile, first=3, steps=2)
    job = dataclasses.replace(job, training=dataclasses.replace(job.training, profile=profile))
    folder = run(job, tmp_path / "run")
    (trace,) = folder.events.glob("plugins/profile/*/*.xplane.pb")
    steps = [
        event
        for plane in jax.profiler.ProfileData.from_file(str(trace)).planes
        for line in plane.lines
        for event in line.events
        if event.name.startswith("train")
    ]
    assert curve(folder) == curve(whole) and len(steps) == 2


def test_the_loss_falls(whole):
    first, *_, last = curve(whole)
    assert last["loss"] < first["loss"]


def test_a_finished_run_that_is_started_again_changes_nothing(make_job, whole, tmp_path):
    shutil.copytree(whole.path, tmp_path / "run")
    again = run(make_job(), tmp_path / "run")
    assert curve(again) == curve(whole) and again.read_end() == whole.read_end()


def test_an_end_is_taken_back_before_anything_is_restored(make_job, whole, tmp_path, monkeypatch):
    """Whoever follows would go by it for as long as that takes."""
    shutil.copytree(whole.path, tmp_path / "run")
    seen, restore = [], loop.Checkpoints.restore

    def restored(*given):
        seen.append(RunFolder(tmp_path / "run").read_end())
        return restore(*given)

    monkeypatch.setattr(loop.Checkpoints, "restore", restored)
    again = run(make_job(), tmp_path / "run")
    assert seen == [None] and again.read_end() == whole.read_end()


def test_a_run_that_went_on_and_diverged_has_not_ended_as_it_had_before(make_job, whole, tmp_path, monkeypatch):
    shutil.copytree(whole.path, tmp_path / "run")

    def diverged(*_):
        raise Diverged(Problem("rows 192 to 199", None, "not finite", "look at them"))

    monkeypatch.setattr(Health, "look", diverged)
    with pytest.raises(Diverged):
        run(make_job(training={"tokens": 26 * 8 * 96}), tmp_path / "run")
    assert RunFolder(tmp_path / "run").read_end()["reason"].startswith("code 3: rows 192 to 199")


class Killed(BaseException):
    """Not an Exception: nothing may catch it on the way."""


@pytest.mark.parametrize(
    "at", [at if at in (6, 18, 30) else pytest.param(at, marks=pytest.mark.slow) for at in range(2, 34, 4)]
)
def test_stopped_at_any_instant_the_log_and_the_parameters_are_those_of_one_run(
    make_job, whole, tmp_path, monkeypatch, at
):
    """Stops at the at-th call of one of the loop's acts (a step taken, a line written, a checkpoint begun)."""
    calls = 0

    def counted(act):
        def wrapped(*arguments, **keywords):
            nonlocal calls
            calls += 1
            if calls == at:
                raise Killed
            return act(*arguments, **keywords)

        return wrapped

    with monkeypatch.context() as patch:
        patch.setattr(MetricsLog, "write", counted(MetricsLog.write))
        patch.setattr(loop.Checkpoints, "save", counted(loop.Checkpoints.save))
        patch.setattr(Health, "look", counted(Health.look))
        with pytest.raises(Killed):
            run(make_job(), tmp_path / "run")
    again = run(make_job(), tmp_path / "run")
    assert curve(again) == curve(whole)
    assert_same_parameters(again, whole, make_job())


def test_what_an_adaptive_density_has_learnt_is_part_of_a_checkpoint(make_job, whole, tmp_path, monkeypatch):
    job = make_job(corruption={"schedule": "adaptive", "adaptive_half_life": 8 * 96})
    adaptive = run(job, tmp_path / "adaptive")

    def killed(*_):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(MetricsLog, "close", killed)
        patch.setattr(Health, "look", lambda _, row, report: killed() if row == 15 * 8 else None)
        with pytest.raises(Killed):
            run(job, tmp_path / "run")
    again = run(job, tmp_path / "run")
    assert curve(again) == curve(adaptive) != curve(whole)


def assert_same_parameters(a: RunFolder, b: RunFolder, job):
    abstract = Network(job.model, manifest.load(job.data.directory).vocabulary).abstract_parameters()
    found = [CheckpointReader(f.checkpoints).restore_parameters(24, abstract, "ema") for f in (a, b)]
    jax.tree.map(np.testing.assert_array_equal, *found)


def test_a_resume_that_would_read_other_rows_is_refused(make_job, whole, tmp_path):
    shutil.copytree(whole.path, tmp_path / "run")
    other = make_job(
        data={"stages": (Stage(0, {"text": 1, "image-text": 1, "audio-text": 1}),)}, training={"tokens": 40_000}
    )
    with pytest.raises(Refusal, match="trained on other rows"):
        run(other, tmp_path / "run")


def test_a_longer_budget_continues(make_job, whole, tmp_path):
    shutil.copytree(whole.path, tmp_path / "run")
    folder = run(make_job(training={"tokens": 28 * 8 * 96}), tmp_path / "run")
    assert [line["step"] for line in log.read(folder)][-2:] == [24, 28]
    assert curve(folder)[:6] == curve(whole)


def test_another_batch_size_goes_on_with_the_same_rows(make_job, whole, tmp_path):
    shutil.copytree(whole.path, tmp_path / "run")
    folder = run(make_job(training={"tokens": 28 * 8 * 96, "batch_size": 16}), tmp_path / "run")
    last = log.read(folder)[-1]
    assert last["step"] == 26 and last["tokens"] == 28 * 8 * 96


def test_updates_that_are_not_finite_are_skipped_and_end_the_run_when_they_do_not_stop(make_job, tmp_path):
    job = make_job(optimizer={"learning_rate": 0.1}, training={"most_skipped": 3}, model={"embedding_std": 1e38})
    with pytest.raises(Refusal, match=r"rows 0 to 23 .*3 updates in a row were not finite"):
        run(job, tmp_path / "run")


def test_a_run_whose_last_checkpoint_failed_has_not_ended(make_job, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(loop.Checkpoints, "save", lambda *_: None)
        with pytest.raises(Fault, match="checkpoints/24: the last checkpoint was not saved"):
            run(make_job(), tmp_path / "run")
    assert RunFolder(tmp_path / "run").read_end() is None
