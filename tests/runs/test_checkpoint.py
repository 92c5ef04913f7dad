"""Checkpoints: whole ones come back, damaged ones are passed over, failures cost one checkpoint."""

import errno
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest
from etils import epath

from mdm import exits
from mdm.problems import Fault, Refusal
from mdm.runs import checkpoint
from mdm.runs.checkpoint import CheckpointReader, Checkpoints, CheckpointSettings, Vanished
from tests.busy import Busy


def state(value: float) -> dict:
    tree = {"dense": {"kernel": jnp.full((8, 4), value)}}
    return {"rows": jnp.uint32(value), "parameters": tree, "ema": jax.tree.map(lambda x: x / 2, tree)}


ABSTRACT = jax.eval_shape(lambda: state(0))


def save(folder, steps, **settings):
    with Checkpoints(
        folder / "checkpoints", CheckpointSettings(**{"every": 1, "latest": 10, **settings})
    ) as checkpoints:
        for step in steps:
            checkpoints.save(step, state(step), {"row": step * 10})


def restore(folder):
    with Checkpoints(folder / "checkpoints", CheckpointSettings()) as checkpoints:
        return checkpoints.restore(ABSTRACT)


def largest_file(step):
    return max((path for path in step.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)


def test_the_newest_comes_back(tmp_path):
    save(tmp_path, [1, 2, 3])
    found = restore(tmp_path)
    assert found.step == 3 and found.position == {"row": 30}
    jax.tree.map(np.testing.assert_array_equal, dict(found.state), state(3))


def test_no_checkpoint_is_a_new_run(tmp_path):
    assert restore(tmp_path) is None


def test_the_latest_and_every_kth_are_kept(tmp_path):
    save(tmp_path, range(1, 8), latest=2, keep_every=3)
    assert CheckpointReader(tmp_path / "checkpoints").steps() == [3, 6, 7]


@pytest.mark.parametrize("damage", ["truncate", "flip", "remove"])
def test_a_damaged_checkpoint_is_passed_over_and_put_aside(tmp_path, damage):
    save(tmp_path, [1, 2])
    file = largest_file(tmp_path / "checkpoints" / "2" / "parameters")
    content = bytearray(file.read_bytes())
    if damage == "truncate":
        file.write_bytes(content[: len(content) // 2])
    elif damage == "flip":
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    else:
        file.unlink()
    assert CheckpointReader(tmp_path / "checkpoints").latest() == 1
    assert restore(tmp_path).step == 1
    assert (tmp_path / "damaged" / "2-0").exists() and not (tmp_path / "checkpoints" / "2").exists()
    save(tmp_path, [2])
    assert restore(tmp_path).step == 2


def test_an_unsealed_checkpoint_is_used(tmp_path):
    save(tmp_path, [1])
    (tmp_path / "checkpoints" / "1" / "seal.json").unlink()
    assert restore(tmp_path).step == 1


def test_a_half_written_checkpoint_is_no_checkpoint(tmp_path):
    save(tmp_path, [1])
    shutil.copytree(tmp_path / "checkpoints" / "1", tmp_path / "checkpoints" / "2.orbax-checkpoint-tmp-7")
    assert CheckpointReader(tmp_path / "checkpoints").steps() == [1]
    assert restore(tmp_path).step == 1


def test_only_damaged_checkpoints_are_refused_by_name(tmp_path):
    save(tmp_path, [1, 2])
    for step in (1, 2):
        largest_file(tmp_path / "checkpoints" / str(step)).write_bytes(b"")
    with pytest.raises(Refusal, match="checkpoints/2") as refusal:
        restore(tmp_path)
    assert len(refusal.value.problems) == 2
    assert (tmp_path / "checkpoints" / "2").exists()


def test_another_model_is_refused_and_nothing_is_moved(tmp_path):
    save(tmp_path, [1])
    other = jax.tree.map(lambda x: jax.ShapeDtypeStruct((*x.shape, 2), x.dtype), ABSTRACT)
    with (
        Checkpoints(tmp_path / "checkpoints", CheckpointSettings()) as checkpoints,
        pytest.raises(Refusal, match="does not fit this model"),
    ):
        checkpoints.restore(other)
    assert restore(tmp_path).step == 1


@pytest.mark.parametrize("sealed", [True, False])
def test_storage_that_does_not_answer_costs_a_start_and_no_checkpoint(tmp_path, monkeypatch, sealed):
    """Neither final nor damage: the next start reads what this one could not."""
    save(tmp_path, [1, 2])
    if not sealed:
        (tmp_path / "checkpoints" / "2" / "seal.json").unlink()

    def no_answer(*_, **__):
        raise TimeoutError("no answer")

    for place, name in ((ocp.CheckpointManager, "restore"), (ocp.StandardCheckpointHandler, "metadata"),
                        (checkpoint.seal, "damage")):  # fmt: skip
        with monkeypatch.context() as patch:
            patch.setattr(place, name, no_answer)
            with pytest.raises(Fault, match="checkpoints/2 could not be read .no answer.") as fault:
                restore(tmp_path)
        assert fault.value.code == exits.FAULT
    assert not (tmp_path / "damaged").exists() and restore(tmp_path).step == 2


@pytest.mark.parametrize(
    "other, told",
    [
        (lambda own: own | {"rows": jax.ShapeDtypeStruct((), jnp.float32)}, "rows is uint32 .. where float32"),
        (lambda own: own | {"more": own["rows"]}, "it does not hold more"),
        (lambda own: {name: tree for name, tree in own.items() if name != "rows"}, "it holds rows besides"),
    ],
)
def test_arrays_of_another_name_or_dtype_are_refused(tmp_path, other, told):
    save(tmp_path, [1])
    with (
        Checkpoints(tmp_path / "checkpoints", CheckpointSettings()) as checkpoints,
        pytest.raises(Refusal, match=f"does not fit this model .{told}"),
    ):
        checkpoints.restore(other(ABSTRACT))


def test_a_failed_save_costs_one_checkpoint(tmp_path, monkeypatch):
    with Checkpoints(tmp_path / "checkpoints", CheckpointSettings(every=1)) as checkpoints:
        checkpoints.save(1, state(1), {})

        def full(*_, **__):
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(checkpoints._manager, "save", full)
            checkpoints.save(2, state(2), {})
        checkpoints.save(3, state(3), {})
    assert CheckpointReader(tmp_path / "checkpoints").steps() == [1, 3]


def test_a_failure_behind_the_save_costs_one_checkpoint(tmp_path, monkeypatch):
    """Asynchronous errors surface later; the run must not end there."""
    with Checkpoints(tmp_path / "checkpoints", CheckpointSettings(every=1)) as checkpoints:
        checkpoints.save(1, state(1), {})
        checkpoints.wait()

        def full():
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(checkpoints._manager, "wait_until_finished", full)
            checkpoints.save(2, state(2), {})
            checkpoints.wait()
        checkpoints.save(3, state(3), {})
    assert restore(tmp_path).step == 3


def test_parameters_alone(tmp_path):
    save(tmp_path, [4])
    reader = CheckpointReader(tmp_path / "checkpoints")
    for which in checkpoint.PARAMETERS:
        found = reader.restore_parameters(4, ABSTRACT["parameters"], which)
        jax.tree.map(np.testing.assert_array_equal, found, state(4)[which])


def test_a_step_that_is_gone_has_vanished(tmp_path):
    save(tmp_path, [4])
    with pytest.raises(Vanished):
        CheckpointReader(tmp_path / "checkpoints").restore_parameters(3, ABSTRACT["parameters"])


def test_a_damaged_step_is_refused_by_name(tmp_path):
    save(tmp_path, [4])
    file = largest_file(tmp_path / "checkpoints" / "4")
    file.write_bytes(b"")
    with pytest.raises(Refusal, match=file.name):
        CheckpointReader(tmp_path / "checkpoints").restore_parameters(4, ABSTRACT["parameters"])


@pytest.mark.parametrize(
    "damaged, which, told", [("rest", "ema", False), ("parameters", "ema", False), ("ema", "ema", True)]
)
def test_a_reader_looks_at_nothing_but_what_it_reads(tmp_path, damaged, which, told):
    """Optimizer and parameters are three quarters of a checkpoint: a follower of a large run does not read them."""
    save(tmp_path, [4])
    file = largest_file(tmp_path / "checkpoints" / "4" / damaged)
    file.write_bytes(file.read_bytes() + b"x")
    reader = CheckpointReader(tmp_path / "checkpoints")
    assert reader.latest(which) == (None if told else 4) and reader.latest() is None
    if told:
        with pytest.raises(Refusal, match=file.name):
            reader.restore_parameters(4, ABSTRACT["parameters"], which)
    else:
        found = reader.restore_parameters(4, ABSTRACT["parameters"], which)
        jax.tree.map(np.testing.assert_array_equal, found, state(4)[which])


def test_a_step_that_goes_while_it_is_read_has_vanished(tmp_path, monkeypatch):
    save(tmp_path, [4])
    reader = CheckpointReader(tmp_path / "checkpoints")

    def deleted(step, part=None):
        shutil.rmtree(step)
        raise FileNotFoundError(step)

    monkeypatch.setattr(checkpoint.seal, "damage", deleted)
    with pytest.raises(Vanished):
        reader.restore_parameters(4, ABSTRACT["parameters"])
    with pytest.raises(Vanished):
        reader.stamp(4)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_those_who_look_for_damage_together_look_at_every_file(tmp_path, count):
    save(tmp_path, [1])
    step = epath.Path(tmp_path / "checkpoints" / "1")
    files = [path for path in Path(step).rglob("*") if path.is_file() and path.name != "seal.json"]
    looks = [(number, count) for number in range(count)]
    assert [checkpoint.seal.damage(step, share=share) for share in looks] == [None] * count
    for file in files:
        content = file.read_bytes()
        file.write_bytes(content + b"x")
        told = [wrong for share in looks if (wrong := checkpoint.seal.damage(step, share=share))]
        assert len(told) == 1 and str(file) in told[0]
        file.write_bytes(content)


@pytest.mark.parametrize("error, told", [(OSError(errno.EIO, "Input/output error"), OSError),
                                         (FileNotFoundError(errno.ENOENT, "gone"), Refusal)])  # fmt: skip
def test_storage_that_fails_says_nothing_of_the_files(tmp_path, monkeypatch, error, told):
    """A file that a copy left out does."""
    save(tmp_path, [4])
    reader = CheckpointReader(tmp_path / "checkpoints")

    def fails(step, part=None):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint.seal, "damage", fails)
        with pytest.raises(told):
            reader.restore_parameters(4, ABSTRACT["parameters"])
    reader.restore_parameters(4, ABSTRACT["parameters"])


@pytest.mark.parametrize("error", [Busy("try again later"), ValueError("PERMISSION_DENIED: Error reading a/b")])
@pytest.mark.parametrize("where", ["seal.damage", "_held", "_restore"])
def test_what_a_store_does_not_give_makes_no_checkpoint_foreign(tmp_path, monkeypatch, error, where):
    """tensorstore and gcsfs raise no OSError."""
    save(tmp_path, [4])
    reader = CheckpointReader(tmp_path / "checkpoints")

    def fails(*_):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(f"mdm.runs.checkpoint.{where}", fails)
        for read in (
            lambda: reader.restore_parameters(4, ABSTRACT["parameters"]),
            lambda: reader.restore_state(4, ABSTRACT),
        ):
            with pytest.raises(OSError, match=r"checkpoints/4 does not answer"):
                read()
    reader.restore_parameters(4, ABSTRACT["parameters"])
    assert reader.restore_state(4, ABSTRACT).position == {"row": 40}


def test_whether_a_checkpoint_is_of_another_model_is_decided_before_an_array_is_read(tmp_path, monkeypatch):
    save(tmp_path, [4])
    reader = CheckpointReader(tmp_path / "checkpoints")
    monkeypatch.setattr(checkpoint, "_restore", lambda *_: pytest.fail("an array was read"))
    wanted = {"dense": {"kernel": jax.ShapeDtypeStruct((8, 5), np.float32)}}
    with pytest.raises(Refusal, match=r"does not fit this model \(dense/kernel is float32 \[8, 4\] where"):
        reader.restore_parameters(4, wanted)
    with pytest.raises(Refusal, match="does not fit this model .ema/dense/kernel"):
        reader.restore_state(4, {**ABSTRACT, "ema": wanted})


def test_a_folder_of_checkpoints_that_does_not_answer_is_an_error_of_the_storage(tmp_path, monkeypatch):
    save(tmp_path, [4])
    reader = CheckpointReader(tmp_path / "checkpoints")

    def busy(*_):
        raise Busy("try again later")

    for name, ask in (
        ("iterdir", reader.steps),
        ("iterdir", lambda: reader.stamp(4)),
        ("exists", lambda: reader.sealed(4)),
        ("exists", lambda: reader.restore_parameters(4, ABSTRACT["parameters"])),
        ("exists", reader.latest),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(type(epath.Path(tmp_path)), name, busy)
            with pytest.raises(OSError, match="does not answer"):
                ask()


def test_a_store_that_fails_twice_does_not_say_that_a_step_has_vanished(tmp_path, monkeypatch):
    save(tmp_path, [4])
    reader = CheckpointReader(tmp_path / "checkpoints")

    def busy(*_):
        monkeypatch.setattr(type(epath.Path(tmp_path)), "exists", busy)
        raise Busy("try again later")

    monkeypatch.setattr(checkpoint.seal, "damage", busy)
    with pytest.raises(OSError, match="does not answer"):
        reader.restore_parameters(4, ABSTRACT["parameters"])


def test_a_mark_tells_a_checkpoint_from_another_one_of_its_step(tmp_path):
    for folder, value in (("a", 4), ("b", 4), ("c", 5)):
        with Checkpoints(tmp_path / folder / "checkpoints", CheckpointSettings(every=1)) as checkpoints:
            checkpoints.save(4, state(value), {"row": value})
    readers = [CheckpointReader(tmp_path / folder / "checkpoints") for folder in "abc"]
    marks = [reader.mark(4) for reader in readers]
    assert all(marks) and marks[2] not in marks[:2]
    shutil.copytree(tmp_path / "a", tmp_path / "copy")
    assert CheckpointReader(tmp_path / "copy" / "checkpoints").mark(4) == marks[0]
    (tmp_path / "a" / "checkpoints" / "4" / "seal.json").unlink()
    assert readers[0].mark(4) is None and readers[0].written(4) is None and readers[1].written(4)
