"""Settings by dotted keys, as on the command line: `optimizer.learning_rate`, `data.stages[0].rows.text`."""

from __future__ import annotations

import copy
import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mdm.problems import Problem

_PART = re.compile(r"[^.\[\]]+|\[\d+\]")


def apply(config: dict, overrides: Mapping[str, Any], problems: list[Problem]) -> dict:
    """A copy of `config` with `overrides`; a key that is not there goes into `problems`, with the nearest one that is.

    In a group without settings (`corruption.schedules`, say, by task) any name may be set: who reads the group knows its names.
    """
    changed = copy.deepcopy(config)
    free: list[Any] = []  # groups that had no settings: a second name of one is as good as the first
    for key, value in overrides.items():
        parts = _PART.findall(key)
        place: Any = changed
        for number, part in enumerate(parts):
            own: Any = int(part[1:-1]) if part.startswith("[") else part
            known = range(len(place)) if isinstance(place, list) else place if isinstance(place, Mapping) else ()
            last = number == len(parts) - 1
            if last and place == {}:
                free.append(place)
            if own not in known and not (last and any(place is group for group in free)):
                problems.append(_unknown(key, parts[:number], part, value, place))
                break
            if last:
                place[own] = plain(value)
            else:
                place = place[own]
        if not parts:
            problems.append(Problem(repr(key), value, "is not a key", "name a setting, e.g. optimizer.learning_rate"))
    return changed


def split(configs: Sequence[Mapping]) -> tuple[dict, list[dict]]:
    """Dotted key -> value of the settings that all `configs` share; and, of each of them, of those that differ. A list is one
    value, and so is a group without settings."""
    flat = [dict(_leaves(config, "")) for config in configs]
    keys = dict.fromkeys(key for own in flat for key in own)
    same = {key for key in keys if all(key in own for own in flat) and all(own[key] == flat[0][key] for own in flat)}
    shared = {key: flat[0][key] for key in keys if key in same}
    return shared, [{key: own[key] if key in own else None for key in keys if key not in same} for own in flat]


def value(config: Mapping, key: str) -> Any:
    """Of a setting that is there, as `apply` finds it."""
    place: Any = config
    for part in _PART.findall(key):
        place = place[int(part[1:-1]) if part.startswith("[") else part]
    return place


def _leaves(group: Mapping, at: str) -> Iterator[tuple[str, Any]]:
    for name, part in group.items():
        if isinstance(part, Mapping) and part:
            yield from _leaves(part, f"{at}{name}.")
        else:
            yield f"{at}{name}", part


def plain(value: Any) -> Any:
    """`value` as dicts, lists and scalars; a ConfigDict is one that can tell its dict."""
    if hasattr(value, "to_dict"):
        value = value.to_dict()
    if isinstance(value, Mapping):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return [plain(part) for part in value]
    return value


def _unknown(key: str, before: list[str], part: str, value: Any, place: Any) -> Problem:
    at = "".join(name if name.startswith("[") else f".{name}" for name in before).lstrip(".")
    group = isinstance(place, Mapping | list)
    names = [str(name) for name in (range(len(place)) if isinstance(place, list) else place)] if group else []
    near = difflib.get_close_matches(part, names, 1)
    prefix = f"{at}." if at else ""
    if near:
        return Problem(key, value, "there is no such setting", f"did you mean {prefix}{near[0]}?")
    what = f"has {', '.join(names)}" if names else "has no settings yet" if group else "is one value, not a group"
    remedy = f"{at or 'the config'} {what}"
    return Problem(key, value, "there is no such setting", remedy)
