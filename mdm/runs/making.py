"""What a start was made with: enough to make it again."""

from __future__ import annotations

import importlib.metadata
import platform
import socket
from collections.abc import Mapping
from typing import Any

import jax

from mdm import checkout

_PACKAGES = ("mdm", "jax", "jaxlib", "libtpu", "flax", "optax", "orbax-checkpoint", "grain", "array-record", "numpy")


def made(command: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """As plain values. command: line that started it; environment: of its variables those that decide what XLA makes of it."""
    device = jax.devices()[0]
    return {
        "command": command,
        "environment": dict(environment),
        "commit": checkout.commit(),
        "changed_files": list(checkout.changes()),
        "versions": {"python": platform.python_version(), **_versions()},
        "devices": f"{jax.device_count()} x {device.device_kind} ({device.platform}) on {jax.process_count()} processes",
        "host": socket.gethostname(),
        "system": platform.platform(),
    }


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue  # mdm run from a checkout; libtpu without TPUs
    return found
