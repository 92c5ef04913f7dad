"""Names of jobs: what Kubernetes, Google Cloud, XPK and SLURM all take."""

from __future__ import annotations

import re

from mdm.problems import Problem

# RFC 1035 labels; XPK takes 40 characters, of which "-follower" needs nine.
_LONGEST = 31
_LABEL = re.compile("[a-z]([-a-z0-9]*[a-z0-9])?")
_VARIABLE = re.compile("[A-Za-z_][A-Za-z0-9_]*")


def job_problems(where: str, name: str) -> list[Problem]:
    if len(name) <= _LONGEST and _LABEL.fullmatch(name):
        return []
    remedy = f"use at most {_LONGEST} small letters, digits and hyphens, a letter first, no hyphen last"
    return [Problem(where, name, "is not a name that every platform takes", remedy)]


def variable_problems(where: str, name: str) -> list[Problem]:
    if _VARIABLE.fullmatch(name):
        return []
    return [Problem(where, name, "is not the name of a variable", "use letters, digits and _, no digit first")]


def of_title(title: str) -> str:
    """A name made of any text: letters, digits and hyphens, short enough for the names of its pods."""
    name = re.sub("[^a-z0-9]+", "-", title.lower()).strip("-")[:40].strip("-")
    return f"mdm-{name}" if name else "mdm-study"
