"""Array jobs: their text is known, and a hostile name stays one argument of one command."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from mdm.launching.hardware import Hardware
from mdm.problems import Refusal
from mdm.studies import array

GOLDEN = Path(__file__).parents[1] / "golden" / "studies"
COMMAND = [
    "python",
    "-m",
    "mdm.study",
    "--study=experiments/studies/batch_size.py:pod",
    "--workdir=gs://bucket/batch size",
]
HOSTILE = [
    "'; rm -rf ~ #",
    '"$(touch pwned)"',
    "`touch pwned`",
    "$(HOME)",
    "$$HOME",
    "a\nb: c",
    "- x",
    "é\u2028",
    "!!python/object",
]


def check(name: str, found: str) -> None:
    """To accept a change: rm the file and run again."""
    golden = GOLDEN / name
    if not golden.exists():
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(found)
        pytest.fail(f"{golden} was written: read it, and commit it")
    assert found == golden.read_text()


def test_slurm_is_known():
    check("array.sbatch", array.slurm("Batch size: how far?", COMMAND, 12, 4))


def test_gke_is_known():
    hardware = Hardware.of("v5p:2x2x1", "--hardware")
    check("job.yaml", array.gke("Batch size: how far?", COMMAND, 12, 4, "europe-docker.pkg.dev/p/mdm:1", hardware))


@pytest.fixture
def python(tmp_path):
    """A `python` that writes down its arguments."""
    path = tmp_path / "bin" / "python"
    path.parent.mkdir()
    path.write_text("#!/usr/bin/env python3\nimport json, sys\nprint(json.dumps(sys.argv[1:]))\n")
    path.chmod(0o755)
    return {**os.environ, "PATH": f"{path.parent}:{os.environ['PATH']}"}


def run(command: list[str], environment: dict, tmp_path) -> list[str]:
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert not (tmp_path / "pwned").exists()
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", HOSTILE)
def test_slurm_gives_each_task_its_command(name, python, tmp_path):
    script = array.slurm(name, ["python", f"--workdir={name}"], 3, 1)
    head = [line for line in script.splitlines() if line.startswith("#SBATCH")]
    assert len(head) == 4 and re.fullmatch("#SBATCH --job-name=[a-z0-9-]+", head[0])
    (tmp_path / "job").write_text(script)
    found = run(["bash", "job"], python | {"SLURM_ARRAY_TASK_ID": "2"}, tmp_path)
    assert found == [f"--workdir={name}", "--number=2"]


def expanded(text: str) -> str:
    """As a kubelet replaces $(NAME) of a variable of the container; $$ is a dollar."""
    known = {"HOME": "/root", "JOB_COMPLETION_INDEX": "2"}
    return re.sub(r"\$\$|\$\((\w+)\)", lambda m: "$" if m[0] == "$$" else known.get(m[1], m[0]), text)


@pytest.mark.parametrize("name", HOSTILE)
def test_gke_gives_each_task_its_command(name, python, tmp_path):
    job = yaml.safe_load(array.gke(name, ["python", f"--workdir={name}"], 3, 9, name))
    assert re.fullmatch("[a-z0-9]([a-z0-9-]*[a-z0-9])?", job["metadata"]["name"])
    assert (job["spec"]["completions"], job["spec"]["parallelism"], job["spec"]["completionMode"]) == (3, 3, "Indexed")
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["image"] == name
    command = [expanded(part) for part in (*container["command"], *container["args"])]
    found = run(command, python | {"JOB_COMPLETION_INDEX": "2"}, tmp_path)
    assert found == [f"--workdir={name}", "--number=2"]


@pytest.mark.parametrize("text", ["v5p:2x2x2", "h100:1", "cpu"])
def test_hardware_of_several_hosts_and_other_than_tpus_is_refused(text):
    with pytest.raises(Refusal, match="one host"):
        array.gke("title", COMMAND, 3, 1, "image", Hardware.of(text, "--hardware"))
