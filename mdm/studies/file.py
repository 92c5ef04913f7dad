"""The file of a study, and the config that it stands on. Such files are the user's own programs, like every experiment."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from mdm.problems import Problem, Refusal
from mdm.studies import dotted
from mdm.studies.study import Study


def load(place: str) -> tuple[Study, dict]:
    """The study of `FILE` or `FILE:ARGUMENT` (the argument of its get_study), and its base config as plain dicts.

    Raises Refusal for a file that is not there, cannot be run, or has no get_study.
    """
    study = _call(place, "--study", "get_study")
    if not isinstance(study, Study):
        remedy = "let get_study return a mdm.studies.study.Study"
        raise Refusal(Problem("--study", place, f"gives a {type(study).__name__}, not a study", remedy))
    base = study.base() if callable(study.base) else _call(study.base, "base", "get_config")
    return study, dotted.plain(base)


def _call(place: str, where: str, name: str) -> Any:
    path, _, argument = place.partition(":")
    module = _import(Path(path), where, name)
    found = getattr(module, name, None)
    if not isinstance(found, Callable):
        raise Refusal(Problem(where, place, f"has no function {name}", f"define {name}()"))
    try:
        return found(argument) if argument else found()
    except Refusal:
        raise
    except Exception as error:
        raise _broken(where, place, error) from error


def _import(path: Path, where: str, name: str) -> ModuleType:
    if not path.is_file():
        raise Refusal(Problem(where, str(path), "is not a file", f"name a Python file with {name}()"))
    spec = importlib.util.spec_from_file_location(f"mdm_study_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses of the file look themselves up there
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise _broken(where, str(path), error) from error
    return module


def _broken(where: str, place: str, error: BaseException) -> Refusal:
    line = traceback.extract_tb(error.__traceback__)[-1]
    reason = f"cannot be run ({error!r} at {line.filename}:{line.lineno})"
    return Refusal(Problem(where, place, reason, "mend the file, or give an argument that it knows"))
