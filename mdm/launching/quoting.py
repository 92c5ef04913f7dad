"""Text for shells, docker and Kubernetes, in which what came from outside stays what it was.

For a shell shlex quotes; YAML is written by its own writer; Kubernetes and systemd, which replace names behind a dollar in the
arguments of a command, get the dollar doubled.
"""

from __future__ import annotations

import csv
import io
import math
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


def fields(*texts: str) -> str:
    """A line of comma-separated values, as docker takes them for one flag."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(texts)
    return line.getvalue()


def dollars(parts: Iterable[str]) -> list[str]:
    """Arguments for Kubernetes or systemd, which would expand $(NAME), and $NAME, and take $$ for a dollar."""
    return [part.replace("$", "$$") for part in parts]


class _Quoting(yaml.SafeDumper):
    """Every text that is a value in quotes: what needs none here (y, 1e-3, 0o17) is a number or a boolean to the parser of
    Kubernetes. Keys are our own words, and stay bare."""

    def represent_str(self, data: str) -> yaml.ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:str", data, style='"')

    def represent_mapping(self, tag, mapping, flow_style=None) -> yaml.MappingNode:
        node = super().represent_mapping(tag, mapping, flow_style)
        for key, _ in node.value:
            key.style = None
        return node


_Quoting.add_representer(str, _Quoting.represent_str)


def documents(*objects: Mapping) -> str:
    """YAML, a document for each object."""
    return yaml.dump_all(objects, Dumper=_Quoting, sort_keys=False, width=math.inf)
