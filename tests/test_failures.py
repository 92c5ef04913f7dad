"""What happens when things go wrong (DESIGN.md, section 5): each line is provoked for real, here or where `PROVOKED` says."""

import contextlib
import errno
import json
import logging
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import jax.numpy as jnp
import pytest

from mdm import config, exits, pretraining
from mdm.pretraining import pretrain
from mdm.problems import Refusal
from mdm.runs import log, starts
from mdm.runs.checkpoint import CheckpointReader
from mdm.runs.folder import RunFolder
from mdm.runs.log import MetricsLog
from mdm.runs.preemption import Preempted
from mdm.training import step as steps
from tests import binaries
from tests.tiny import tiny_config, write_data
from tests.training.curves import curve

PROVOKED = {
    "unknown or impossible setting": [
        "test_config_fuzz.py::test_a_thousand_wrong_settings_are_refused_by_name",
        "test_config.py::test_every_problem_is_listed_at_once",
        "test_command.py::test_a_refused_start_leaves_no_run_folder_behind",
    ],
    "manifest and shard disagree; truncated shard; unreadable image, audio, text": [
        "data/test_manifest.py::test_every_disagreement_is_listed",
        "data/test_manifest.py::test_truncated_shard_is_named",
        "data/test_manifest.py::test_damaged_content_of_the_right_size",
        "data/test_preparation.py::test_bad_media_are_refused_by_name",
        "data/test_preparation.py::test_up_to_a_stated_number_bad_media_are_skipped_and_each_is_reported",
        "test_failures.py::test_a_run_whose_manifest_was_deleted_is_refused_and_goes_on_when_it_is_back",
    ],
    "process killed at any instant": [
        "test_chaos.py::test_kills_change_nothing",
        "training/test_loop.py::test_stopped_at_any_instant_the_log_and_the_parameters_are_those_of_one_run",
        "test_failures.py::test_a_run_that_is_asked_to_go_saves_and_is_continued",
    ],
    "checkpoint half written or damaged": [
        "runs/test_checkpoint.py::test_a_damaged_checkpoint_is_passed_over_and_put_aside",
        "runs/test_checkpoint.py::test_a_half_written_checkpoint_is_no_checkpoint",
        "runs/test_seal.py::test_an_unsealed_checkpoint_that_cannot_be_read_is_passed_over",
        "test_failures.py::test_a_run_goes_on_from_the_checkpoint_before_a_damaged_array_file",
    ],
    "disk full, bucket unreachable during a save": [
        "test_failures.py::test_a_full_disk_costs_checkpoints_and_not_the_run",
        "runs/test_checkpoint.py::test_a_failed_save_costs_one_checkpoint",
        "runs/test_agreement.py::test_a_save_that_fails_on_two_processes_costs_one_checkpoint",
        "runs/test_folder.py::test_a_full_disk_costs_a_line_and_not_the_run",
    ],
    "loss or gradient not finite": [
        "test_failures.py::test_a_batch_that_is_not_finite_is_skipped_and_its_rows_are_named",
        "training/test_step.py::test_a_gradient_that_is_not_finite_changes_nothing_but_the_count",
        "training/test_loop.py::test_updates_that_are_not_finite_are_skipped_and_end_the_run_when_they_do_not_stop",
    ],
    "one host hangs": [
        "training/test_watchdog.py::test_a_hung_process_ends_with_its_code_and_the_stacks_of_all_threads",
        "training/test_watchdog.py::test_one_that_never_gives_the_interpreter_back_ends_too",
        "test_failures.py::test_a_run_that_hangs_ends_and_is_continued",
        "test_failures.py::test_of_two_processes_one_hangs_and_both_end_and_are_continued",
        "training/test_watchdog.py::test_a_start_that_does_not_get_to_its_data_ends_and_counts",
    ],
    "evaluator meets a vanished or foreign checkpoint": [
        "runs/test_checkpoint.py::test_a_step_that_is_gone_has_vanished",
        "runs/test_checkpoint.py::test_another_model_is_refused_and_nothing_is_moved",
        "test_failures.py::test_a_read_only_folder",
        "test_failures.py::test_a_checkpoint_of_another_model_is_named_and_the_others_are_evaluated",
    ],
    "hostile input files": [
        "codecs/test_storage.py::test_compressed_arrays_are_refused",
        "data/test_manifest.py::test_a_shard_outside_the_folder_is_refused",
        "runs/test_hostile.py::test_no_pickle_and_no_code_is_read_from_a_checkpoint",
    ],
}


@pytest.mark.parametrize("case", PROVOKED, ids=lambda case: case.split(";")[0])
def test_every_line_has_its_tests(case):
    for name in PROVOKED[case]:
        file, _, function = name.partition("::")
        assert f"def {function}(" in (Path(__file__).parent / file).read_text(encoding="utf-8"), name


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    directory = tmp_path_factory.mktemp("data") / "set"
    write_data(directory)
    return directory


def config_of(data, **guards) -> dict:
    value = tiny_config(str(data))
    value["training"] |= {"log_every": 1, "tokens": 8 * 8 * 96}
    value["checkpoints"] |= {"every": 2, "latest": 10}
    value["guards"] |= guards
    return value


def settings(data, **guards):
    return config.resolve(config_of(data, **guards))


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """Eight steps that nothing disturbed, a checkpoint every two."""
    folder = RunFolder(tmp_path_factory.mktemp("whole") / "run")
    pretrain(settings(data), folder)
    return folder


def copied(whole, path: Path, to_step: int) -> RunFolder:
    """As `whole` was behind a checkpoint."""
    shutil.copytree(whole.path, path)
    folder = RunFolder(path)
    for step in CheckpointReader(folder.checkpoints).steps():
        if step > to_step:
            (folder.checkpoints / str(step)).rmtree()
    return folder


@contextlib.contextmanager
def small_disk(path: Path, size: str):
    """A file system of its own, where this process may make one."""
    path.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)], capture_output=True)
    if made.returncode:
        pytest.skip(f"no file system can be mounted here: {made.stderr.decode().strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def test_a_full_disk_costs_checkpoints_and_not_the_run(data, whole, tmp_path, monkeypatch, caplog):
    """The disk is filled behind the first checkpoint and emptied before the last one."""
    write = MetricsLog.write
    with small_disk(tmp_path / "disk", "40m") as disk:
        folder, ballast = RunFolder(disk / "run"), disk / "ballast"

        def fill_and_clear(self, step, figures):
            write(self, step, figures)
            while step == 3 and not (folder.checkpoints / "2" / "seal.json").exists():
                time.sleep(0.01)
            if step == 3:
                with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
                    while True:
                        file.write(bytes(4096))
            if step == 7:
                ballast.unlink()

        with monkeypatch.context() as patch:
            patch.setattr(MetricsLog, "write", fill_and_clear)
            pretrain(settings(data), folder)
        told = [record.message for record in caplog.records if record.levelno >= logging.ERROR]
        assert any("CHECKPOINT 4 WAS NOT SAVED" in message and "space" in message.lower() for message in told), told
        assert any("DISK IS SHORT" in record.message for record in caplog.records)
        assert CheckpointReader(folder.checkpoints).steps() == [2, 8] and folder.read_end()["step"] == 8
        assert {path.name for path in folder.checkpoints.iterdir()} == {"2", "8"}  # nothing half written is left
        assert curve(folder)[-1] == curve(whole)[-1]  # lines that found no room are missing


def test_a_read_only_folder(data, whole, tmp_path):
    """Training is refused by name; evaluation, which never writes to the run, works."""
    with small_disk(tmp_path / "disk", "40m") as disk:
        folder = copied(whole, disk / "run", 8)
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        with pytest.raises(Refusal, match="run.*cannot be (written|made)"):
            pretrain(settings(data), folder)
        done = binaries.run("evaluate", f"--workdir={folder.path}", f"--output={tmp_path}/results")
        assert done.returncode == 0, done.stderr
        assert list((tmp_path / "results").iterdir())


@pytest.mark.slow
def test_a_checkpoint_of_another_model_is_named_and_the_others_are_evaluated(data, whole, tmp_path):
    """It is whole, so its seal says nothing: somebody copied it there."""
    folder, other = copied(whole, tmp_path / "run", 6), RunFolder(tmp_path / "other")
    changed = tiny_config(str(data))
    changed["model"] |= {"width": 32}
    changed["training"] |= {"tokens": 4 * 8 * 96}
    changed["checkpoints"] |= {"every": 4}
    pretrain(config.resolve(changed), other)
    (folder.checkpoints / "4").rmtree()
    shutil.copytree(other.checkpoints / "4", folder.checkpoints / "4")
    done = binaries.run("evaluate", f"--workdir={folder.path}", "--all", "--evaluation.documents=2")
    assert done.returncode == exits.REFUSED, done.stderr
    assert "step 4 is passed over" in done.stderr
    last = done.stderr.splitlines()[-1]
    assert "checkpoints/4" in last and "does not fit this model" in last and " -> " in last
    found = sorted(path.name for path in folder.evaluations.glob("step-*.jsonl"))
    assert found == ["step-000000002.jsonl", "step-000000006.jsonl"]
    assert CheckpointReader(folder.checkpoints).steps() == [2, 4, 6] and not (tmp_path / "run/damaged").exists()


def test_a_run_goes_on_from_the_checkpoint_before_a_damaged_array_file(data, whole, tmp_path, caplog):
    folder = copied(whole, tmp_path / "run", 6)
    (file, *_) = sorted(Path(folder.checkpoints / "6" / "parameters").rglob("d/*"), key=lambda f: -f.stat().st_size)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    pretrain(settings(data), folder)
    assert any(
        "checkpoints/6 cannot be used" in record.message and file.name in record.message for record in caplog.records
    )
    assert curve(folder) == curve(whole) and (tmp_path / "run/damaged/6-0").exists()
    assert starts.read(folder)[-1].restored == 4


def test_a_run_whose_manifest_was_deleted_is_refused_and_goes_on_when_it_is_back(data, whole, tmp_path):
    folder, own = copied(whole, tmp_path / "run", 4), tmp_path / "set"
    shutil.copytree(data, own)
    manifest = (own / "manifest.json").rename(own / "away")
    with pytest.raises(Refusal, match="set/manifest.json.*no prepared data set"):
        pretrain(settings(own), folder)
    manifest.rename(own / "manifest.json")
    pretrain(settings(own), folder)
    assert curve(folder) == curve(whole)


def test_failures_before_a_run_opens_its_folder_are_counted(data, tmp_path, monkeypatch):
    """A stale mount, a chip that does not come up: otherwise a launcher would start it a hundred times."""
    folder = RunFolder(tmp_path / "run")

    def stale(*_):
        raise OSError(errno.ESTALE, "Stale file handle")

    def no_chips(*_):
        raise RuntimeError("Unable to initialize backend")

    for place, name, failure in ((pretraining, "load", stale), (pretraining.jax, "devices", no_chips)):
        with monkeypatch.context() as patch, pytest.raises(OSError if name == "load" else RuntimeError):
            patch.setattr(place, name, failure)
            if name == "devices":
                patch.setattr(place, "process_count", failure)
            pretrain(settings(data, starts=2), folder)
    own = starts.read(folder)
    assert (
        [start.code for start in own] == [exits.FAULT] * 2 and "Stale" in own[0].reason and "backend" in own[1].reason
    )
    for number, name in ((1, "in stale"), (2, "in no_chips")):  # whoever looks for the reason finds the place too
        log_of = (folder.start(number) / "log-0.txt").read_text()
        assert "Traceback" in log_of and name in log_of
    with pytest.raises(starts.Stuck):
        pretrain(settings(data, starts=2), folder)


@pytest.mark.parametrize("key, value, told", [("model", {"width": 32}, "does not fit"), ("data", {"seed": 9}, "data")])
def test_a_refused_restart_leaves_the_run_as_it_was(data, whole, tmp_path, key, value, told):
    """Whoever reads the run goes by these files: they must be those of its checkpoints."""
    folder = copied(whole, tmp_path / "run", 4)
    before = {path.name: path.read_bytes() for path in (folder.config, folder.vocabulary, folder.spans, folder.end)}
    changed = tiny_config(str(data))
    changed[key] |= value
    with pytest.raises(Refusal, match=told):
        pretrain(config.resolve(changed), folder)
    assert {name: (folder.path / name).read_bytes() for name in before} == before
    assert starts.read(folder)[-1].code == exits.REFUSED


def test_a_batch_that_is_not_finite_is_skipped_and_its_rows_are_named(data, tmp_path, monkeypatch, caplog):
    """Rows 24 to 31, of the fourth step: the update is skipped, the run goes on."""
    gradient = steps.loss_and_gradient

    def spoilt(network, objective, parameters, rows, corrupted, parts):
        (loss, sums), found = gradient(network, objective, parameters, rows, corrupted, parts)
        return (loss + jnp.where(jnp.any(batches[0] == 24), jnp.nan, 0.0), sums), found

    batches = []
    corrupt = steps.corrupt

    def seen(batch, *rest):
        batches[:] = [batch.number[..., 1] if batch.number.ndim > 1 else batch.number]
        return corrupt(batch, *rest)

    monkeypatch.setattr(steps, "loss_and_gradient", spoilt)
    monkeypatch.setattr(steps, "corrupt", seen)
    folder = RunFolder(tmp_path / "run")
    pretrain(settings(data), folder)
    assert [line["updates_skipped"] for line in log.read(folder)] == [0, 0, 0, 1, 0, 0, 0, 0]
    assert any("NOT FINITE: rows 24 to 31" in record.message for record in caplog.records)
    assert folder.read_end()["step"] == 8


def test_a_run_that_is_asked_to_go_saves_and_is_continued(data, whole, tmp_path, monkeypatch):
    """SIGTERM in the third step, between two checkpoints."""
    write, folder = MetricsLog.write, RunFolder(tmp_path / "run")

    def asked(self, step, figures):
        write(self, step, figures)
        if step == 2:  # written during step 3
            signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(MetricsLog, "write", asked)
        with pytest.raises(Preempted, match="which is saved"):
            pretrain(settings(data), folder)
    (first,) = starts.read(folder)
    assert first.code == exits.PREEMPTED and first.reached in (2, 3)
    assert CheckpointReader(folder.checkpoints).latest() == first.reached and folder.read_end() is None
    pretrain(settings(data), folder)
    assert curve(folder) == curve(whole) and starts.read(folder)[-1].restored == first.reached


HANG = """
from mdm.data.pipeline import Rows
import json, threading, sys
import jax
data, folder, hangs, seconds, *job = json.loads(sys.argv[1])
read = Rows.at
def stands_still(self, numbers):
    if max(numbers) >= 32:
        threading.Event().wait()
    return read(self, numbers)
if hangs:
    Rows.at = stands_still
if job:
    jax.distributed.initialize(*job)
from tests.test_failures import settings
from mdm.pretraining import pretrain
from mdm.runs.folder import RunFolder
pretrain(settings(data, step_seconds=seconds), RunFolder(folder))
"""


def hanging(*arguments) -> subprocess.Popen:
    """A run that stands still in step 5, if it hangs. arguments: data, folder, whether it hangs, seconds for a step; of one of
    several processes also coordinator, their number and its own."""
    program = [binaries.sys.executable, "-c", HANG, json.dumps(arguments)]
    return subprocess.Popen(program, cwd=binaries.ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_a_run_that_hangs_ends_and_is_continued(data, whole, tmp_path):
    """The reader of the rows never comes back."""
    folder = RunFolder(tmp_path / "run")
    process = hanging(str(data), str(folder.path), True, 2.0)
    _, told = process.communicate(timeout=120)
    assert process.returncode == exits.HUNG, told[-3000:]
    stacks = (folder.start(1) / "stacks-0.txt").read_text()
    assert "stands_still" in stacks and "_walk" in stacks and "stands_still" in told
    pretrain(settings(data), folder)
    assert curve(folder) == curve(whole)


@pytest.mark.slow
def test_of_two_processes_one_hangs_and_both_end_and_are_continued(data, whole, tmp_path):
    """The second one never reads its rows, and the stacks tell so. The first one fails in its step when the second has ended, and
    is aborted by JAX when it misses the heartbeats (a minute and a half), or stands still too."""
    folder = RunFolder(tmp_path / "run")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        job = (f"127.0.0.1:{listener.getsockname()[1]}", 2)
    both = [hanging(str(data), str(folder.path), number == 1, 10.0, *job, number) for number in range(2)]
    told = [process.communicate(timeout=400)[1] for process in both]
    assert both[1].returncode == exits.HUNG, told[1][-3000:]
    assert both[0].returncode in (*exits.AGAIN, -signal.SIGABRT), told[0][-3000:]
    assert "stands_still" in (folder.start(1) / "stacks-1.txt").read_text() and "stands_still" in told[1]
    (start,) = starts.read(folder)
    assert start.code in (exits.HUNG, exits.FAULT) and start.reached == 4
    pretrain(settings(data), folder)
    losses = [[line["loss"] for line in log.read(each)] for each in (folder, whole)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_no_variable_of_the_environment_but_those_that_decide_is_written_or_told(data, tmp_path):
    """They may hold secrets."""
    file = tmp_path / "config.py"
    value = config_of(data)
    value["training"] |= {"tokens": 2 * 8 * 96}
    file.write_text(f"from ml_collections import ConfigDict\n\ndef get_config():\n    return ConfigDict({value!r})\n")
    secrets = {"WANDB_API_KEY": "whoever-reads-this", "LIBTPU_INIT_ARGS": "--kept=1"}
    done = binaries.run("train", f"--config={file}", f"--workdir={tmp_path}/run", environment=secrets)
    assert done.returncode == 0, done.stderr
    written = [path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()]
    told = b"\0".join([done.stdout.encode(), done.stderr.encode(), *written])
    assert b"--kept=1" in told  # it is looked for where variables are written
    assert b"whoever-reads-this" not in told and b"WANDB" not in told


def test_a_run_explains_itself(data, whole):
    """The binary, on a run that it made."""
    done = binaries.run("train", "--describe", f"--workdir={whole.path}")
    assert done.returncode == 0, done.stderr
    for told in ("ended at step 8", "blocks.qkv", "model.width", "versions.jax", "compile", "token budget reached"):
        assert told in done.stdout, told
    made = json.loads((whole.start(1) / "made.json").read_text())
    assert made["command"] and made["commit"] and "cpu" in made["devices"]
    assert (whole.start(1) / "log-0.txt").exists()
    refused = binaries.run("train", "--describe", f"--workdir={whole.path}/none")
    assert refused.returncode == exits.REFUSED and "holds no run" in refused.stderr
