"""Rules of the house that the import linter cannot express."""

import ast
from pathlib import Path

import pytest

ROOMS = sorted(path for path in (Path(__file__).parents[1] / "mdm").glob("*/**/*.py"))


@pytest.mark.parametrize("path", ROOMS, ids=lambda path: "/".join(path.parts[-2:]))
def test_nothing_below_the_binaries_reads_a_flag_or_the_environment(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "absl":
            assert not {alias.name for alias in node.names} & {"flags", "app"}
        if isinstance(node, ast.Attribute):
            assert node.attr not in ("environ", "getenv", "putenv")


@pytest.mark.parametrize("path", ROOMS, ids=lambda path: "/".join(path.parts[-2:]))
def test_every_module_says_what_it_is_and_stays_small(path):
    text = path.read_text(encoding="utf-8")
    assert not text or ast.get_docstring(ast.parse(text)), path
    assert text.count("\n") <= 400
