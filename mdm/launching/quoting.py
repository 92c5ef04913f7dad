"""Text for shells and for Kubernetes, in which what came from outside stays what it was.

For a shell shlex quotes; YAML is written by its own writer; Kubernetes and systemd, which replace names behind a dollar in the
arguments of a command, get the dollar doubled.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence

import yaml

_WIDTH = 110


def command(*groups: Sequence[str], indent: str = "") -> str:
    """One command for a shell. groups: its words; a command that it is given to run is a group of its own.

    A long one has a line for each argument from the first flag of its group on.
    """
    line = shlex.join(part for group in groups for part in group)
    if len(indent) + len(line) <= _WIDTH:
        return indent + line
    lines = []
    for depth, parts in enumerate(groups):
        first = next((number for number, part in enumerate(parts) if part.startswith("--")), len(parts))
        lines.append("    " * depth + shlex.join(parts[:first]))
        lines += ["    " * depth + "  " + shlex.quote(part) for part in parts[first:]]
    return " \\\n".join(indent + line for line in lines)


def dollars(parts: Iterable[str]) -> list[str]:
    """Arguments for Kubernetes or systemd, which would expand $(NAME), and $NAME, and take $$ for a dollar."""
    return [part.replace("$", "$$") for part in parts]


def documents(*objects: Mapping) -> str:
    """YAML, a document for each object."""
    return yaml.safe_dump_all(objects, sort_keys=False, width=130)
