"""What every room's tests share: the platform, reproducible property tests, and one small token space."""

import os
import shutil
import tempfile

os.environ["JAX_PLATFORMS"] = "cpu"  # before anything imports jax

import pytest
from hypothesis import settings

from mdm.tokens.vocabulary import Vocabulary

# Derandomized: what fails once fails again. No deadline: the first example compiles. No database: no folder in the checkout.
settings.register_profile("mdm", deadline=None, derandomize=True, database=None)
settings.load_profile("mdm")


_CACHE = "JAX_COMPILATION_CACHE_DIR"
_QUICK = "--xla_cpu_use_fusion_emitters=false --xla_backend_optimization_level=1"


def pytest_configure(config):
    """What one process compiled, the others and the subprocesses of tests load: it halves the time of a whole run.

    The short tests compile in half the time, by XLA's older emitters with fewer passes of LLVM. The long ones compile as users
    do, and so do all with `XLA_FLAGS= launch/test.sh`.
    """
    if config.option.markexpr == "not slow":
        os.environ.setdefault("XLA_FLAGS", _QUICK)  # read when the first device is asked for
    if _CACHE not in os.environ and not hasattr(config, "workerinput"):
        os.environ[_CACHE] = tempfile.mkdtemp(prefix="mdm-test-cache-")
        os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.5"
        config.add_cleanup(lambda: shutil.rmtree(os.environ.pop(_CACHE), ignore_errors=True))


@pytest.fixture(scope="session")
def vocabulary() -> Vocabulary:
    """Ranges: text (20 + END), image (30), audio.0 (5 + END), audio.1 (6 + END)."""
    return Vocabulary.of({"text": (20,), "image": (30,), "audio": (5, 6)})


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder with a run folder, `run`, and its data set: see `tests.made`."""
    from tests import made  # imports jax, which not every test needs

    root = tmp_path_factory.mktemp("made")
    made.run(root)
    return root


@pytest.fixture(scope="module")
def model(root):
    """The run of `root`, through the Python door."""
    import mdm

    return mdm.load(str(root / "run"))
