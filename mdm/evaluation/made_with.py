"""What a part of an evaluation was made with: all that decides its figures but the checkpoint itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from mdm.fingerprint import fingerprint


class Difference(NamedTuple):
    """key: of a setting, with dots; None: it is not there on that side."""

    key: str
    one: Any
    other: Any


@dataclasses.dataclass(frozen=True)
class MadeWith:
    """settings:  plain values that must be the same for the figures to be
    available: what could be told, where that hangs on packages: a part made with more of it is as good
    missing:   tasks that could not be made: they have to be, still
    """

    settings: Mapping[str, Any]
    available: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.to_json())

    def to_json(self) -> dict:
        """Plain values; `from_json` of it equals this."""
        return {"settings": self.settings, "available": list(self.available), "missing": list(self.missing)}

    @classmethod
    def from_json(cls, value: Mapping) -> MadeWith:
        return cls(value["settings"], tuple(value["available"]), tuple(value["missing"]))

    def wants(self, asked: MadeWith) -> str | None:
        """Why a part that was made with this is not what is asked for; None if it is."""
        told = [f"{d.key} {d.one!r}, now {d.other!r}" for d in differences(self.settings, asked.settings)]
        new = sorted(set(asked.available) - set(self.available))
        told += [f"without {', '.join(new)}"] if new else []
        told += [f"{', '.join(self.missing)} could not be made"] if self.missing else []
        return f"it was made with {'; '.join(told)}" if told else None


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[Difference]:
    """Where two trees of settings differ, by key."""
    sides = dict(_flat(one)), dict(_flat(other))
    keys = sorted(sides[0].keys() | sides[1].keys())
    found = [Difference(key, *(side[key] if key in side else None for side in sides)) for key in keys]
    return [d for d in found if d.one != d.other]


def _flat(value: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, part in value.items():
            yield from _flat(part, f"{at}.{key}" if at else str(key))
    else:
        yield at, list(value) if isinstance(value, tuple) else value  # as JSON gives it back
