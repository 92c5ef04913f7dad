"""What the scripts of all launchers begin with."""

from __future__ import annotations

from mdm.launching import quoting
from mdm.launching.description import Description

HEAD = """\
#!/usr/bin/env bash
# Starts the trainer, and the evaluator beside it. Run it from the root of the checkout.
{more}set -euo pipefail
"""
HERE = 'here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"\n'


def head(more: str = "") -> str:
    return HEAD.format(more=more)


def preflight(description: Description, indent: str = "") -> str:
    """Compiles the step for the slices that are about to be paid for; what does not fit ends the script here."""
    if description.slice.platform != "tpu":
        return ""
    return quoting.command(description.preflight, indent=indent) + "\n"
