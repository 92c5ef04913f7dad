"""The checkout that this package is run from: which code made a result."""

from __future__ import annotations

import subprocess
from pathlib import Path

_WRITTEN = Path(__file__).parent / "COMMIT"  # by launch/Dockerfile


def commit() -> str:
    """Its commit; a plus for changes that are not in it. A container has no git, and a file that was written when it was made."""
    if _WRITTEN.exists():
        return _WRITTEN.read_text(encoding="utf-8").strip()
    told = _git("describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*")
    return "unknown" if told is None else told or "not a checkout"


def changes() -> tuple[str, ...]:
    """Files that differ from the commit or are not in it, as `git status --short` tells them."""
    return tuple((_git("status", "--short") or "").splitlines())


def _git(*arguments: str) -> str | None:
    """What git prints, without the newline behind it; None if there is no git."""
    try:
        told = subprocess.run(
            ["git", *arguments], cwd=Path(__file__).parent, capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return told.stdout.rstrip("\n")
