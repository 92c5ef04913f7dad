"""Settings by dotted keys, as on the command line: `optimizer.learning_rate`, `data.stages[0].rows.text`."""

from __future__ import annotations

import copy
import difflib
import re
from collections.abc import Mapping
from typing import Any

from mdm.problems import Problem

_PART = re.compile(r"[^.\[\]]+|\[\d+\]")


def apply(config: dict, overrides: Mapping[str, Any], problems: list[Problem]) -> dict:
    """A copy of `config` with `overrides`; a key that is not there goes into `problems`, with the nearest one that is."""
    changed = copy.deepcopy(config)
    for key, value in overrides.items():
        parts = _PART.findall(key)
        place: Any = changed
        for number, part in enumerate(parts):
            own: Any = int(part[1:-1]) if part.startswith("[") else part
            known = range(len(place)) if isinstance(place, list) else place if isinstance(place, Mapping) else ()
            if own not in known:
                problems.append(_unknown(key, parts[:number], part, value, known))
                break
            if number == len(parts) - 1:
                place[own] = plain(value)
            else:
                place = place[own]
        if not parts:
            problems.append(Problem(repr(key), value, "is not a key", "name a setting, e.g. optimizer.learning_rate"))
    return changed


def plain(value: Any) -> Any:
    """`value` as dicts, lists and scalars; a ConfigDict is one that can tell its dict."""
    if hasattr(value, "to_dict"):
        value = value.to_dict()
    if isinstance(value, Mapping):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return [plain(part) for part in value]
    return value


def _unknown(key: str, before: list[str], part: str, value: Any, known: Any) -> Problem:
    at = "".join(name if name.startswith("[") else f".{name}" for name in before).lstrip(".")
    names = [str(name) for name in known]
    near = difflib.get_close_matches(part, names, 1)
    prefix = f"{at}." if at else ""
    if near:
        return Problem(key, value, "there is no such setting", f"did you mean {prefix}{near[0]}?")
    remedy = f"{at or 'the config'} has {', '.join(names)}" if names else f"{at} is one value, not a group"
    return Problem(key, value, "there is no such setting", remedy)
