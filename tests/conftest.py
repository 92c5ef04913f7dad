"""What every room's tests share: the platform, reproducible property tests, and one small token space."""

import os

os.environ["JAX_PLATFORMS"] = "cpu"  # before anything imports jax

import pytest
from hypothesis import settings

from mdm.tokens.vocabulary import Vocabulary

# Derandomized: what fails once fails again. No deadline: the first example compiles. No database: no folder in the checkout.
settings.register_profile("mdm", deadline=None, derandomize=True, database=None)
settings.load_profile("mdm")


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes long; leave out with -m 'not slow'")


@pytest.fixture(scope="session")
def vocabulary() -> Vocabulary:
    """Ranges: text (20 + END), image (30), audio.0 (5 + END), audio.1 (6 + END)."""
    return Vocabulary.of({"text": (20,), "image": (30,), "audio": (5, 6)})
