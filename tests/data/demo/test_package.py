"""Packages: pinned, checked, unpacked once; whatever goes wrong is named, and what was fetched stays."""

import hashlib
import io
import subprocess
import sys
import tarfile
import zipfile

import pytest

from mdm.data.demo import package
from mdm.data.demo.package import Package, Unavailable
from mdm.problems import Refusal


def tgz(path, members):
    with tarfile.open(path, "w:gz") as file:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return path


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def registry(tmp_path, monkeypatch):
    """A registry whose client copies a file, or does what a test says."""
    archive = tgz(tmp_path / "p-1.tgz", {"package/a.txt": b"a", "package/b.txt": b"b"})
    calls = []

    def client(_):
        calls.append(1)
        return [sys.executable, "-c", f"import shutil; shutil.copy({str(archive)!r}, '.')"]

    monkeypatch.setattr(package, "CLIENTS", {"npm": client})
    own = Package("npm", "p", "1", (digest(archive),), ("package/a",))
    return own, tmp_path / "media", calls


def test_a_package_is_fetched_once_and_only_what_is_wanted_is_unpacked(registry):
    own, folder, calls = registry
    place = own.fetch(folder)
    assert [p.name for p in (place / "package").iterdir()] == ["a.txt"]
    assert own.fetch(folder) == place and len(calls) == 1
    assert [p.name for p in folder.iterdir()] == [place.name]  # neither archive nor temporary stays


def test_another_file_than_the_pinned_one_is_refused(registry):
    _, folder, _ = registry
    with pytest.raises(Refusal, match="sha256") as caught:
        Package("npm", "p", "1", ("0" * 64,)).fetch(folder)
    assert not isinstance(caught.value, Unavailable)  # not something to go on after
    assert not list(folder.iterdir())


def test_a_missing_client_makes_a_package_unavailable(registry, monkeypatch):
    own, folder, _ = registry
    monkeypatch.setattr(package, "CLIENTS", {"npm": lambda _: ["no-such-client"]})
    with pytest.raises(Unavailable, match="install no-such-client"):
        own.fetch(folder)


def test_without_network_the_client_s_words_are_passed_on(registry, monkeypatch):
    own, folder, _ = registry
    (folder / "other-package").mkdir(parents=True)
    failing = [sys.executable, "-c", "import sys; sys.exit('could not resolve host')"]
    monkeypatch.setattr(package, "CLIENTS", {"npm": lambda _: failing})
    with pytest.raises(Unavailable, match="could not resolve host"):
        own.fetch(folder)
    assert [p.name for p in folder.iterdir()] == ["other-package"]


def test_a_client_that_hangs_is_given_up(registry, monkeypatch):
    own, folder, _ = registry
    monkeypatch.setattr(package, "MOST_SECONDS", 0.2)
    monkeypatch.setattr(package, "CLIENTS", {"npm": lambda _: [sys.executable, "-c", "import time; time.sleep(60)"]})
    with pytest.raises(Unavailable, match="no answer"):
        own.fetch(folder)


def test_what_a_killed_attempt_left_is_no_package(registry):
    own, folder, calls = registry
    half = folder / "npm-p-1.tmp" / "content" / "package"
    half.mkdir(parents=True)
    (half / "a.txt").write_text("ha")
    assert (own.fetch(folder) / "package" / "a.txt").read_text() == "a" and calls


def test_a_full_disk_is_named(registry, monkeypatch):
    own, folder, _ = registry

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(package, "_unpack", full)
    with pytest.raises(Refusal, match=r"No space left.*free some space"):
        own.fetch(folder)


def test_a_truncated_archive_with_the_right_digest_is_refused(registry, tmp_path, monkeypatch):
    _, folder, _ = registry
    cut = tmp_path / "cut.tgz"
    cut.write_bytes((tmp_path / "p-1.tgz").read_bytes()[:60])
    monkeypatch.setattr(package, "CLIENTS", {"npm": lambda _: ["cp", str(cut), "."]})
    with pytest.raises(Refusal, match="cannot be unpacked"):
        Package("npm", "p", "1", (digest(cut),)).fetch(folder)


@pytest.mark.parametrize("name", ["../outside.txt", "/outside.txt"])
def test_an_archive_writes_nothing_outside_its_folder(tmp_path, monkeypatch, name):
    archive = tgz(tmp_path / "evil.tgz", {name: b"x"})
    monkeypatch.setattr(package, "CLIENTS", {"npm": lambda _: ["cp", str(archive), "."]})
    try:
        place = Package("npm", "evil", "1", (digest(archive),)).fetch(tmp_path / "media")
    except Refusal:
        place = tmp_path / "media"
    assert not (tmp_path / "media" / "outside.txt").exists() and not list(tmp_path.glob("outside.txt"))
    assert all(place in p.parents for p in tmp_path.rglob("outside.txt"))


def test_wheels_are_unpacked_too(tmp_path, monkeypatch):
    archive = tmp_path / "p-1-py3-none-any.whl"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("p/data.txt", "d")
    monkeypatch.setattr(package, "CLIENTS", {"pip": lambda _: ["cp", str(archive), "."]})
    place = Package("pip", "p", "1", (digest(archive),)).fetch(tmp_path / "media")
    assert (place / "p" / "data.txt").read_text() == "d"


@pytest.mark.skipif(not package.shutil.which("dpkg-deb"), reason="needs dpkg-deb")
def test_debian_packages_are_unpacked_too(tmp_path, monkeypatch):
    tree = tmp_path / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN" / "control").write_text(
        "Package: p\nVersion: 1\nArchitecture: all\nMaintainer: n <n@example.org>\nDescription: d\n"
    )
    (tree / "usr" / "share").mkdir(parents=True)
    (tree / "usr" / "share" / "a.txt").write_text("a")
    subprocess.run(["dpkg-deb", "--build", str(tree), str(tmp_path / "p.deb")], check=True, capture_output=True)
    monkeypatch.setattr(package, "CLIENTS", {"apt": lambda _: ["cp", str(tmp_path / "p.deb"), "."]})
    place = Package("apt", "p", "1", (digest(tmp_path / "p.deb"),), ("usr/",)).fetch(tmp_path / "media")
    assert (place / "usr" / "share" / "a.txt").read_text() == "a"
