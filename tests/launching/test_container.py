"""What goes into the container: every package pinned with a hash, and nothing that setup.py would not take."""

import ast
import os
import re
import subprocess
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from mdm import checkout

ROOT = Path(__file__).parents[2]


def requirements(hardware: str) -> list[Requirement]:
    """Of setup.py, with the extras of the container."""
    tree = ast.parse((ROOT / "setup.py").read_text())
    (extras,) = (node.value for node in tree.body if isinstance(node, ast.Assign))
    (call,) = (node.value for node in tree.body if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call))
    (base,) = (word.value for word in call.keywords if word.arg == "install_requires")
    found = ast.literal_eval(extras)
    return [
        Requirement(text)
        for text in (*ast.literal_eval(base), *found[hardware], *found["report"], *found["tensorboard"], *found["gcs"])
    ]


@pytest.mark.parametrize("hardware", ["tpu", "cuda"])
def test_the_container_holds_what_setup_asks_for(hardware):
    """After a change of setup.py: launch/lock.sh"""
    lines = (ROOT / "launch" / f"packages-{hardware}.txt").read_text().splitlines()
    pins = {}
    for line in lines:
        found = re.fullmatch(r"([A-Za-z0-9._-]+)==(\S+) --hash=sha256:[0-9a-f]{64}", line)
        assert found, line
        pins[canonicalize_name(found[1])] = found[2]
    for requirement in requirements(hardware):
        version = pins.get(canonicalize_name(requirement.name))
        assert version and requirement.specifier.contains(version), str(requirement)


def test_the_container_knows_its_commit(tmp_path, monkeypatch):
    """The line of the Dockerfile writes what `checkout` reads where there is no git."""
    (line,) = re.findall("^RUN (.*COMMIT.*)$", (ROOT / "launch" / "Dockerfile").read_text(), re.MULTILINE)
    (tmp_path / "mdm").mkdir()
    subprocess.run(["sh", "-c", line], cwd=tmp_path, env={**os.environ, "COMMIT": "0123456789ab+"}, check=True)
    monkeypatch.setattr(checkout, "_WRITTEN", tmp_path / "mdm" / checkout._WRITTEN.name)
    assert checkout.commit() == "0123456789ab+"
    monkeypatch.setattr(checkout, "_WRITTEN", tmp_path / "none")
    assert checkout.commit() != "0123456789ab+"
