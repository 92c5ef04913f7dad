"""A checkpoint from strangers is data: whatever file of it was exchanged, nothing in it is run."""

import contextlib
import os
import pickle
import shutil

import pytest
from etils import epath

from mdm.problems import Fault, Refusal
from mdm.runs import seal
from mdm.runs.checkpoint import CheckpointReader
from tests.runs.test_checkpoint import ABSTRACT, restore, save


class Payload:
    """Makes a folder wherever it is unpickled."""

    def __init__(self, marker):
        self._marker = str(marker)

    def __reduce__(self):
        return os.mkdir, (self._marker,)


# Orbax leaves coroutines behind when it meets files that make no sense.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_no_pickle_and_no_code_is_read_from_a_checkpoint(tmp_path):
    """Each file in turn holds a pickle, or code, under a seal that fits; others lie beside it under names that loaders know."""
    save(tmp_path / "whole", [1])
    marker = tmp_path / "was run"
    with pytest.raises(FileExistsError):  # it works
        for _ in range(2):
            pickle.loads(pickle.dumps(Payload(marker)))
    marker.rmdir()
    contents = (pickle.dumps(Payload(marker)), f"import os; os.mkdir({str(marker)!r})\n".encode())
    step = epath.Path(tmp_path / "run" / "checkpoints" / "1")
    names = [path.relative_to(tmp_path / "whole") for path in (tmp_path / "whole").rglob("*") if path.is_file()]
    assert len(names) > 5
    for name in names:
        for content in contents:
            shutil.rmtree(tmp_path / "run", ignore_errors=True)
            shutil.copytree(tmp_path / "whole", tmp_path / "run")
            for item in ("parameters", "ema", "rest", "position"):
                for planted in ("checkpoint.pkl", "__init__.py", "tree.pickle", "data.npy"):
                    (step / item / planted).write_bytes(content)
            (tmp_path / "run" / name).write_bytes(content)
            if name.name != "seal.json":
                seal.write(step)
            for read in (restore_parameters, restore):
                with contextlib.suppress(Refusal, Fault):
                    read(tmp_path / "run")
            assert not marker.exists(), name


def restore_parameters(folder):
    CheckpointReader(epath.Path(folder / "checkpoints")).restore_parameters(1, ABSTRACT["parameters"])
