"""What each platform is given: known, and accepted by those who check such texts."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import yaml

from mdm.launching.platforms import PLATFORMS, render
from tests.launching.conftest import JOBS

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden" / "launching"
RELEASE = "1.33"  # of Kubernetes


@pytest.mark.parametrize("platform", PLATFORMS)
def test_what_would_be_run_is_known(platform):
    """To accept a change: rm the folder and run again."""
    folder = GOLDEN / platform
    found = render(platform, JOBS[platform]).all()
    if not folder.exists():
        folder.mkdir(parents=True)
        for name, text in found.items():
            (folder / name).write_text(text)
        pytest.fail(f"{folder} was written: read it, and commit it")
    assert found == {path.name: path.read_text() for path in folder.iterdir()}


def say(program: str, *arguments) -> str:
    """What a program of this environment says about files that it does not like."""
    command = [Path(sys.executable).with_name(program), *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return done.stdout + done.stderr if done.returncode else ""


# SC1091, SC2034: of a sourced file it sees neither the text nor who uses a variable.
SHELLCHECK = ("shellcheck", "--shell=bash", "--severity=style", "--exclude=SC1091,SC2034")


def test_shellcheck_has_nothing_to_say(tmp_path):
    scripts = [*GOLDEN.glob("*/*.sh"), *GOLDEN.glob("*/*.sbatch"), *(ROOT / "tests/golden/studies").glob("*.sbatch")]
    assert len(scripts) > 10
    assert say(*SHELLCHECK, *scripts, *(ROOT / "launch").glob("*.sh")) == ""
    (tmp_path / "wrong.sh").write_text("echo $1\n")
    assert "SC2086" in say(*SHELLCHECK, tmp_path / "wrong.sh")


def test_hadolint_has_nothing_to_say(tmp_path):
    assert say("hadolint", ROOT / "launch" / "Dockerfile") == ""
    (tmp_path / "Dockerfile").write_text("FROM python\nRUN cd /\n")
    assert "DL3006" in say("hadolint", tmp_path / "Dockerfile")


def closed(**properties) -> dict:
    """A schema of an object that has these and no other fields."""
    return {"type": "object", "properties": properties, "additionalProperties": False}


# The part of jobset.x-k8s.io/v1alpha2 that we use. The Jobs inside are checked by Kubernetes' own schema.
TEXT, COUNT = {"type": "string"}, {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}
JOBSET = closed(
    apiVersion={"const": "jobset.x-k8s.io/v1alpha2"},
    kind={"const": "JobSet"},
    metadata=closed(name=TEXT, annotations={"type": "object", "additionalProperties": TEXT}),
    spec=closed(
        failurePolicy=closed(
            maxRestarts=COUNT,
            rules={
                "type": "array",
                "items": closed(
                    name={"type": "string", "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"},
                    action={"enum": ["FailJobSet", "RestartJobSet", "RestartJobSetAndIgnoreMaxRestarts"]},
                    onJobFailureReasons={
                        "type": "array",
                        "items": {"enum": ["BackoffLimitExceeded", "DeadlineExceeded", "PodFailurePolicy"]},
                    },
                ),
            },
        ),
        replicatedJobs={
            "type": "array",
            "items": closed(name=TEXT, replicas=COUNT, template=closed(spec={"type": "object"})),
        },
    ),
)


def check(manifest: dict) -> None:
    if manifest["kind"] == "JobSet":
        jsonschema.validate(manifest, JOBSET)
        for number, job in enumerate(manifest["spec"]["replicatedJobs"]):
            name = f"{manifest['metadata']['name']}-{job['name']}-{number}"
            check({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, **job["template"]})
    else:
        kubernetes_validate.validate(manifest, RELEASE, strict=True)


@pytest.mark.parametrize("path", ["launching/jobset/job.yaml", "studies/job.yaml"])
def test_kubernetes_takes_the_manifests(path):
    manifests = list(yaml.safe_load_all((ROOT / "tests/golden" / path).read_text()))
    assert manifests
    for manifest in manifests:
        check(manifest)


@pytest.mark.parametrize("path", ["launching/jobset/job.yaml", "studies/job.yaml"])
def test_no_container_is_process_one_to_which_sigterm_is_nothing(path):
    """Before it has a handler the kernel ignores the signal there, and it stays for all of the grace."""

    def pods(part):
        if isinstance(part, dict):
            yield from [part] if "containers" in part else []
        children = part.values() if isinstance(part, dict) else part if isinstance(part, list) else []
        for child in children:
            yield from pods(child)

    found = list(pods(list(yaml.safe_load_all((ROOT / "tests/golden" / path).read_text()))))
    assert found and all(pod["shareProcessNamespace"] is True for pod in found)


@pytest.mark.parametrize("first", [True, False])
def test_an_ordinary_process_of_a_namespace_ends_by_sigterm_and_process_one_does_not(first, tmp_path):
    """What the manifests go by, on this kernel."""
    wait = f"import pathlib, time; pathlib.Path({str(tmp_path / 'up')!r}).touch(); time.sleep(60)"
    own = f"{shlex.quote(sys.executable)} -c {shlex.quote(wait)}"
    inside = f"exec {own}" if first else f"{own} & wait $!"
    space = ["unshare", "--pid", "--fork", "--kill-child", "sh", "-c"]
    if shutil.which("unshare") is None or subprocess.run([*space, "true"], capture_output=True).returncode:
        pytest.skip("no namespace of processes can be made here")
    process = subprocess.Popen([*space, inside])
    try:
        while not (tmp_path / "up").exists():
            time.sleep(0.02)
        target = process.pid
        for _ in range(1 if first else 2):
            target = int(Path(f"/proc/{target}/task/{target}/children").read_text().split()[0])
        os.kill(target, signal.SIGTERM)
        if first:
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(timeout=1)
        else:
            assert process.wait(timeout=30) == 128 + signal.SIGTERM
    finally:
        process.kill()
        process.wait()


def broken(manifest: dict, *path, value) -> dict:
    part = manifest
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    return manifest


def test_the_check_of_manifests_can_fail():
    job = ("spec", "replicatedJobs", 0, "template", "spec")
    container = (*job, "template", "spec", "containers", 0)
    for path, value in (
        (("spec", "failurePolicy", "maxRestart"), 3),
        (("spec", "failurePolicy", "maxRestarts"), -1),
        ((*job, "backofLimit"), 3),
        ((*container, "comand"), ["x"]),
        ((*container, "command"), "x"),
        ((*container, "env", 0, "value"), 3),
    ):
        manifest, *_ = yaml.safe_load_all(render("jobset", JOBS["jobset"]).files["job.yaml"])
        with pytest.raises((jsonschema.ValidationError, kubernetes_validate.ValidationError)):
            check(broken(manifest, *path, value=value))
