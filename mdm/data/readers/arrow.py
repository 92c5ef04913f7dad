"""The door to pyarrow, which comes with an extra."""

from __future__ import annotations

import importlib
from types import ModuleType

from mdm.problems import Problem, Refusal


def library(name: str) -> ModuleType:
    """A module of pyarrow. Raises Refusal, naming the extra, where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        remedy = "pip install 'mdm[sources]'"
        raise Refusal(Problem("sources", name, f"cannot be imported ({error})", remedy)) from error
