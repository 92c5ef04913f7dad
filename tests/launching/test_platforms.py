"""Bad descriptions: every problem at once, each with its flag and a remedy."""

import dataclasses

import pytest

from mdm.launching.platforms import render
from mdm.problems import Refusal
from tests.launching.conftest import JOBS


def refused(platform: str, **changes) -> dict[str, str]:
    """Where and why."""
    with pytest.raises(Refusal) as refusal:
        render(platform, dataclasses.replace(JOBS[platform], **changes))
    assert all(problem.remedy for problem in refusal.value.problems)
    return {problem.where: problem.reason for problem in refusal.value.problems}


@pytest.mark.parametrize(
    "platform, own, where",
    [
        ("tpu-vm", {"zone": ""}, "--zone"),
        ("queued", {"zone": ""}, "--zone"),
        ("jobset", {"workdir": "runs/3b"}, "--workdir"),
        ("xpk", {"cluster": ""}, "--cluster"),
        ("slurm", {"project": "p"}, "--project"),
    ],
)
def test_everything_that_is_wrong_is_told_at_once(platform, own, where):
    found = refused(
        platform,
        name="Tri_Modal",
        hardware="v5p:3x3x3",
        evaluator="v5p:4x4x4",
        count=0,
        restarts=-1,
        grace=0,
        environment={"1st": "x"},
        options=("delete",),
        image="--privileged",
        **own,
    )
    assert {"--name", "--hardware", "--evaluator", "--count", "--restarts", "--grace", "--env", "--option",
            "--image", where} <= set(found)  # fmt: skip


@pytest.mark.parametrize("name", ["", "A", "1a", "a-", "-a", "a_b", "a.b", "a b", "a\n", "a" * 32, "$(x)", "é"])
def test_names_that_a_platform_would_refuse(name):
    assert "--name" in refused("slurm", name=name)


@pytest.mark.parametrize(
    "platform, changes, where, why",
    [
        ("jobset", {"workdir": "runs/3b"}, "--workdir", "goes with it"),
        ("jobset", {"image": ""}, "--image", "not given"),
        ("jobset", {"workdir": "s3://b/r"}, "--workdir", "no store"),
        ("slurm", {"workdir": ""}, "--workdir", "empty"),
        ("tpu-vm", {"workdir": ""}, "--workdir", "empty"),
        ("queued", {"workdir": "gs://"}, "--workdir", "no bucket"),
        ("jobset", {"hardware": "h100:8"}, "--hardware", "GKE"),
        ("jobset", {"data": ""}, "--data", "not given"),
        ("jobset", {"data": "", "directory": "/mnt/disks/data"}, "--data", "no folder but a mounted bucket"),
        ("xpk", {"directory": "/mnt/disks/data"}, "data.directory", "is not in /data"),
        ("xpk", {"directory": "runs/data"}, "data.directory", "is not in /data"),
        ("tpu-vm", {"data": "", "directory": "runs/data"}, "data.directory", "no folder that a container"),
        ("queued", {"data": "", "directory": "runs/data"}, "data.directory", "no folder that a container"),
        ("jobset", {"data": "/shared/data"}, "--data", "no bucket"),
        ("xpk", {"data": "gs://bucket/data"}, "--data", "not mounted on XPK"),
        ("slurm", {"data": "gs://bucket/data"}, "--data", "not mounted on SLURM"),
        ("xpk", {"cluster": ""}, "--cluster", "not given"),
        ("xpk", {"priority": "urgent"}, "--priority", "XPK"),
        ("xpk", {"evaluator": "cpu"}, "--evaluator", "XPK"),
        ("xpk", {"workdir": "gs://a\nb"}, "--workdir", "line breaks"),
        ("xpk", {"workdir": "gs://a\u2028b"}, "--workdir", "line breaks"),
        ("xpk", {"environment": {"A": "b\n"}}, "--env", "line breaks"),
        ("xpk", {"evaluator": "v5e:2x2"}, "--evaluator", "no name"),
        ("tpu-vm", {"count": 2}, "--count", "queued"),
        ("tpu-vm", {"zone": ""}, "--zone", "not given"),
        ("tpu-vm", {"priority": "guaranteed"}, "--priority", "not known"),
        ("tpu-vm", {"hardware": "v5p:4x4x16"}, "--hardware", "laid out as 4x8x8"),
        ("queued", {"priority": "cheap"}, "--priority", "not known"),
        ("slurm", {"hardware": "v5p:4x4x4"}, "--hardware", "SLURM"),
        ("slurm", {"image": "a/b"}, "--image", "not run"),
        ("slurm", {"zone": "a"}, "--zone", "nothing"),
        ("slurm", {"hardware": "cpu"}, "--hardware", "trains nothing"),
        ("jobset", {"evaluator": "v5e:2x4"}, "--evaluator", "one process"),
    ],
)
def test_what_a_platform_does_not_take(platform, changes, where, why):
    found = refused(platform, **changes)
    assert list(found) == [where] and why in found[where]


def test_gcloud_is_told_the_grid_where_it_takes_one():
    script = render("tpu-vm", dataclasses.replace(JOBS["tpu-vm"], hardware="v4:4x4x16")).script
    assert "--type=v4" in script and "--topology=4x4x16" in script


def test_one_host_is_one_process():
    several = render("jobset", JOBS["jobset"]).files["job.yaml"]
    one = render("jobset", dataclasses.replace(JOBS["jobset"], hardware="v5p:2x2x1", count=1)).files["job.yaml"]
    assert "--distributed" in several and "--distributed" not in one
