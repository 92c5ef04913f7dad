"""The host of a run: how much memory and disk is left, and a warning while it can still be acted on."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from absl import logging
from etils import epath

GIB = 2**30


class Host:
    """Watches memory and the disk of a run folder. Each warning comes once, and again after there was enough in between.

    memory: least share of the machine's memory that should be free; disk: least bytes that the folder's disk should have
    """

    def __init__(self, folder: epath.Path, memory: float, disk: float):
        self._folder = None if "://" in os.fspath(folder) else folder
        self._memory, self._disk = memory, disk
        self._warned: set[str] = set()

    def figures(self) -> dict[str, float]:
        """host_memory_gib: of this process; memory_free_gib, disk_free_gib: of the machine and of the run folder's disk. What
        cannot be told here is left out."""
        found = {}
        memory = _memory()
        if memory:
            own, free, whole = memory
            found |= {"host_memory_gib": own / GIB, "memory_free_gib": free / GIB}
            told = f"{free / GIB:.2f} GiB of {whole / GIB:.0f} are left, {own / GIB:.2f} are this process's"
            self._warn("MEMORY IS SHORT", free < self._memory * whole, told)
        if self._folder:
            found |= self._disk_figures(self._folder)
        return found

    def _disk_figures(self, folder: epath.Path) -> dict[str, float]:
        try:
            disk = shutil.disk_usage(folder)
        except OSError as error:  # a mount that went stale may come back before the next checkpoint
            self._warn("DISK CANNOT BE ASKED", True, f"{folder}: {error}")
            return {}
        self._warn("DISK CANNOT BE ASKED", False, "")
        told = f"{disk.free / GIB:.3g} GiB are left, {self._disk / GIB:.3g} are wanted for the next checkpoints"
        self._warn("DISK IS SHORT", disk.free < self._disk, f"{folder}: {told}")
        return {"disk_free_gib": disk.free / GIB}

    def _warn(self, what: str, short: bool, told: str) -> None:
        if short and what not in self._warned:
            logging.warning("%s: %s", what, told)
        (self._warned.add if short else self._warned.discard)(what)


def _memory() -> tuple[int, int, int] | None:
    """Bytes: resident of this process, available and in all on the machine; None where /proc does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None
    kib = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
    return resident, kib["MemAvailable"] * 1024, kib["MemTotal"] * 1024
