"""A run that begins from another one: a fork goes on with all of its state, or parameters are taken over alone."""

import shutil
from pathlib import Path

import jax
import numpy as np
import pytest

from mdm.data import manifest
from mdm.data.mixture import Stage
from mdm.model.network import Network
from mdm.problems import Refusal
from mdm.runs import log, starts
from mdm.runs.checkpoint import CheckpointReader
from mdm.runs.folder import RunFolder
from mdm.training.around import Around
from mdm.training.loop import train
from mdm.training.origin import OriginSettings
from tests.training.curves import curve

OTHER = (Stage(0, {"text": 1, "image-text": 3}),)


def run(job, path) -> RunFolder:
    """As `mdm.pretraining` does, as far as another run needs it."""
    folder = RunFolder(path)
    folder.create()
    folder.write_json(folder.vocabulary, manifest.load(job.data.directory).vocabulary.to_json())
    described = {"row_length": job.data.row_length, "streams": dict.fromkeys(job.data.streams)}
    folder.write_json(folder.config, {"data": described, "corruption": {"mode": job.corruption.mode}})
    with starts.begin(folder, job.guards.starts) as starting:
        train(job, folder, starting, Around())
    return folder


@pytest.fixture(scope="module")
def whole(make_job, tmp_path_factory):
    """24 steps, a checkpoint every 6, a line every 4."""
    return run(make_job(), tmp_path_factory.mktemp("origin") / "run")


def from_run(whole, **changes) -> dict:
    return {"run": str(whole.path), **changes}


def touched(folder) -> dict:
    return {path: path.stat().st_mtime_ns for path in Path(folder.path).rglob("*")}


def parameters(folder, job, step, which):
    abstract = Network(job.model, manifest.load(job.data.directory).vocabulary).abstract_parameters()
    return CheckpointReader(folder.checkpoints).restore_parameters(step, abstract, which)


def test_a_fork_under_the_same_settings_is_the_run_itself(make_job, whole, tmp_path):
    job = make_job(origin=from_run(whole, step=12))
    fork = run(job, tmp_path / "fork")
    assert curve(fork) == [line for line in curve(whole) if line["step"] > 12]
    jax.tree.map(np.testing.assert_array_equal, parameters(fork, job, 24, "ema"), parameters(whole, job, 24, "ema"))


def test_a_fork_has_a_mixture_and_a_schedule_of_its_own_and_stands_alone(make_job, whole, tmp_path):
    before = touched(whole)
    shutil.copytree(whole.path, tmp_path / "run")
    streams = {name: own for name, own in make_job().data.streams.items() if name != "audio-text"}
    job = make_job(
        origin={"run": str(tmp_path / "run"), "step": 18},
        data={"stages": OTHER, "streams": streams},
        optimizer={"learning_rate": 0.0},
        training={"tokens": 22 * 8 * 96},
    )
    fork = run(job, tmp_path / "fork")
    line, _ = log.read(fork)  # of step 20, and of the last one
    assert touched(whole) == before
    assert (line["step"], line["tokens"]) == (20, 20 * 8 * 96)
    assert line["share_of_rows/image-text"] > 0.6 and "share_of_rows/audio-text" not in line
    jax.tree.map(
        np.testing.assert_array_equal, *(parameters(f, job, s, "parameters") for f, s in ((fork, 18), (whole, 18)))
    )
    shutil.rmtree(tmp_path / "run")
    shutil.rmtree(fork.checkpoints / "22")
    before = curve(fork)
    assert curve(run(job, tmp_path / "fork")) == before and len(before) == 2


@pytest.mark.parametrize("take", ["parameters", "ema"])
def test_parameters_alone_begin_a_run_at_its_first_row(make_job, whole, tmp_path, take):
    job = make_job(origin=from_run(whole, take=take), training={"tokens": 4 * 8 * 96})
    begun = run(job, tmp_path / "run")
    assert CheckpointReader(begun.checkpoints).steps() == [0, 4]
    for name in ("parameters", "ema"):
        jax.tree.map(np.testing.assert_array_equal, parameters(begun, job, 0, name), parameters(whole, job, 24, take))
    (line,) = log.read(begun)
    assert line["tokens"] == 4 * 8 * 96


@pytest.mark.parametrize(
    "changes, told",
    [
        ({"data": {"row_length": 128}}, r"data.row_length = 128: the run that is forked has 96"),
        ({"corruption": {"mode": "complementary"}}, r"corruption.mode = 'complementary'.*origin.take=ema"),
        ({"origin": {"step": 13}}, r"13: is not there; the run holds \[6, 12, 18, 24\]"),
        ({"origin": {"run": "nowhere"}}, r"nowhere/vocabulary.json: does not exist"),
    ],
)  # fmt: skip
def test_what_cannot_be_forked_is_refused(make_job, whole, tmp_path, changes, told):
    changes = {**changes, "origin": from_run(whole) | (changes["origin"] if "origin" in changes else {})}
    with pytest.raises(Refusal, match=told):
        run(make_job(**changes), tmp_path / "run")


def test_a_run_without_a_checkpoint_is_no_origin(make_job, whole, tmp_path):
    shutil.copytree(whole.path, tmp_path / "empty", ignore=shutil.ignore_patterns("checkpoints"))
    with pytest.raises(Refusal, match="holds no whole checkpoint"):
        run(make_job(origin={"run": str(tmp_path / "empty")}), tmp_path / "run")


def test_settings_that_are_none_are_named():
    told = [str(problem) for problem in OriginSettings("x", -1, "weights").problems("origin")]
    assert len(told) == 2 and "origin.step" in told[0] and "('state', 'parameters', 'ema')" in told[1]
