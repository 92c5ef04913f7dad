"""Every benchmark program runs to its end in its smallest form: a figure that nobody can measure again is none."""

import json
import os
import subprocess
import sys

import pytest

from tests import binaries

CONFIG = """
from mdm import config


def get_config():
    c = config.base()
    c.prepare.sources = {"prose": config.source("prose", "samples://prose", stream="text")}
    c.prepare.codecs = {"text": config.codec("bytes")}
    c.data.directory = DIRECTORY
    c.data.row_length = 256
    c.data.streams = {"text": config.stream({"text": 1.0}, split_documents=True)}
    c.data.stages = [config.stage(text=1)]
    c.model.update({"width": 16, "depth": 1, "head_size": 8, "head_chunk": 64})
    c.training.update({"batch_size": 4, "tokens": 4 * 256 * 8})
    return c
"""
SMALL = {
    "attention": [],
    "head": ["--positions=64", "--chunk=16"],
    "input": ["--batches=2", "--steps=2"],
    "preparing": ["--items=4"],
    "reading": ["--batches=8", "--documents=200"],
    "sampler": ["--width=32", "--depth=1"],
    "scale": ["--shards=4", "--documents=200"],
    "step": ["--nobreakdown"],
}
SHARED = {"breakdown", "contest", "made_up", "plain"}  # modules that programs share
CONFIGURED = {"input", "preparing"}
FOLDER = binaries.ROOT / "experiments" / "benchmarks"


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmarks")
    path = folder / "config.py"
    path.write_text(CONFIG.replace("DIRECTORY", repr(str(folder / "data"))))
    assert binaries.run("prepare", f"--config={path}").returncode == 0
    return path


def test_none_is_left_out():
    assert {path.stem for path in FOLDER.glob("*.py")} == set(SMALL) | SHARED


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_it_ends_with_figures(name, file):
    flags = [*SMALL[name], "--rounds=1", *([f"--config={file}"] if name in CONFIGURED else [])]
    command = [sys.executable, str(FOLDER / f"{name}.py"), *flags]
    done = subprocess.run(
        command, cwd=binaries.ROOT, env=os.environ | {"JAX_PLATFORMS": "cpu"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert lines and all(line["benchmark"].startswith(name) for line in lines)
    if name == "sampler":  # further prompts of one shape
        assert [line["programs_compiled"] for line in lines if "programs_compiled" in line] == [0]
