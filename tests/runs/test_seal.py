"""Checkpoints whose seal is missing or damaged."""

import errno
import gc
import shutil

import orbax.checkpoint as ocp
import pytest
from etils import epath

from mdm.problems import Fault
from mdm.runs import checkpoint
from tests.runs.test_checkpoint import largest_file, restore, save


# Orbax leaves coroutines behind when it meets files that make no sense.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("spoilt", ["halved", "removed", "metadata"])
def test_an_unsealed_checkpoint_that_cannot_be_read_is_passed_over(tmp_path, spoilt, caplog):
    """Its process died before the seal was written, and a loss of power took what was not on the disk yet."""
    save(tmp_path, [1, 2])
    step = tmp_path / "checkpoints" / "2"
    (step / "seal.json").unlink()
    file = step / "ema" / "_METADATA" if spoilt == "metadata" else largest_file(step / "parameters")
    if spoilt == "removed":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    assert restore(tmp_path).step == 1
    assert "checkpoints/2 cannot be used" in caplog.text and "it has no seal and cannot be read" in caplog.text
    assert (tmp_path / "damaged" / "2-0").exists() and not step.exists()
    gc.collect()  # of what Orbax left: here, where it is not told


def test_an_unsealed_checkpoint_is_judged_where_its_files_come_and_an_older_one_can_be_read_alone(
    tmp_path, monkeypatch
):
    save(tmp_path, [1, 2])
    (tmp_path / "checkpoints" / "2" / "seal.json").unlink()
    read = ocp.CheckpointManager.restore

    def no_answer(self, step, **rest):
        if step in lost:
            raise TimeoutError("no answer")
        return read(self, step, **rest)

    def no_files(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(ocp.CheckpointManager, "restore", no_answer)
    lost = {1, 2}
    with pytest.raises(Fault, match="checkpoints/2 could not be read .no answer."):
        restore(tmp_path)
    lost = {2}
    with monkeypatch.context() as patch, pytest.raises(Fault, match="checkpoints/2 could not be read .*Input/output"):
        patch.setattr(checkpoint.seal, "read_all", no_files)
        restore(tmp_path)
    shutil.rmtree(tmp_path / "checkpoints" / "1")
    with pytest.raises(Fault, match="checkpoints/2 could not be read .no answer."):
        restore(tmp_path)
    assert not (tmp_path / "damaged").exists()
    lost = set()
    assert restore(tmp_path).step == 2


@pytest.mark.parametrize("content", [b"[1]", b"3", b'{"a": 3}', b'{"a": [1]}', b'{"a": ["x", 1]}', b"\xff", b""])
def test_a_seal_that_is_none_is_damage(tmp_path, content):
    save(tmp_path, [1, 2])
    seal = tmp_path / "checkpoints" / "2" / "seal.json"
    seal.write_bytes(content)
    assert str(seal) in checkpoint.seal.damage(epath.Path(seal.parent))
    assert restore(tmp_path).step == 1
