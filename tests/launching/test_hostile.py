"""Whatever stands in a path, a setting or a variable arrives as it was given, through every shell and manifest on its way."""

import csv
import dataclasses
import re
from pathlib import Path

import pytest
import yaml

from mdm.launching import quoting
from mdm.launching.platforms import PLATFORMS, render
from tests.launching.conftest import JOBS

VALUES = (
    "two words",
    "'; touch pwned #",
    '"$(touch pwned)"',
    "`touch pwned`",
    "$(HOME) ${HOME} $HOME $$ $$(HOME)",
    "a: b # c",
    "- x",
    "--distributed",
    "{a: 1, b: [2]}",
    "%h %n \\n \\",
    "é*?~!& | < > ( )",
    "!!python/object",
    "",
)
LINES = ("a\nb: c\n", "\nEOF\ntouch pwned\n", "a\r\nb", "\u2028\u0085")


def job(platform: str, values: tuple[str, ...]):
    known = JOBS[platform]
    return dataclasses.replace(
        known,
        config=(*known.config, *(f"--config.value{number}={value}" for number, value in enumerate(values))),
        workdir=known.workdir + "".join(values),
        data=known.data and known.data + "".join(values),
        environment={f"VALUE{number}": value for number, value in enumerate(values)},
    )


def kubelet(text: str) -> str:
    """As a kubelet replaces $(NAME) of a variable of the container; $$ is a dollar. So does systemd with $NAME."""
    return re.sub(r"\$\$|\$[({]?HOME[)}]?", lambda found: "$" if found[0] == "$$" else "/root", text)


def test_the_stand_in_for_the_kubelet_replaces_what_is_not_doubled():
    assert kubelet("$(HOME) $HOME") == "/root /root"
    assert all(kubelet(quoting.dollars([value])[0]) == value for value in (*VALUES, *LINES))


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_value_arrives(platform, machine):
    values = VALUES if platform == "xpk" else (*VALUES, *LINES)  # XPK takes no line breaks: see test_platforms.py
    given = job(platform, values)
    rendering = render(platform, given)
    machine.write(rendering.all())
    code, errors = machine.run("launch.sh", READY="ACTIVE" if platform == "queued" else "READY")
    assert code == 0, errors
    CHECKS[platform](given, machine)
    assert not (machine.folder / "pwned").exists()
    if given.slice.platform == "tpu":
        assert machine.calls("python")[0] == given.preflight[1:]


WORDS = (
    "y",
    "N",
    "on",
    "~",
    "null",
    "1e-3",
    "1.5e3",
    "+1e5",
    "0o17",
    "0b1",
    "1_000",
    "12:30",
    ".5",
    "0x1F",
    "2026-01-01",
)


@pytest.mark.parametrize("word", WORDS)
def test_no_parser_of_yaml_takes_a_text_for_something_else(word):
    """They differ in what is a number or a boolean; a text in quotes is one to all of them."""
    given = dataclasses.replace(JOBS["jobset"], priority=word, environment={"VALUE": word}, config=(f"{word}",))
    text = render("jobset", given).files["job.yaml"]
    assert text.count(f'"{word}"') == 5  # the class and a variable of two Pods, and the argument
    bare = {node.value for document in yaml.compose_all(text) for node in values(document) if node.style != '"'}
    assert all(re.fullmatch("[0-9]+|true", value) for value in bare), bare


def values(node):
    """All scalars but keys."""
    if isinstance(node, yaml.ScalarNode):
        return [node]
    parts = [part for _, part in node.value] if isinstance(node, yaml.MappingNode) else node.value
    return [value for part in parts for value in values(part)]


def test_a_job_may_have_a_name_that_is_a_boolean_elsewhere():
    assert render("jobset", dataclasses.replace(JOBS["jobset"], name="y")).files["job.yaml"].count('  name: "y"\n') == 1


def check_tpu_vm(given, machine):
    """What systemd-run was given on the hosts, by stand-ins for ssh and sudo."""
    assert machine.calls("gcsfuse")[0] == ["-o", "ro,allow_other", "--implicit-dirs", "bucket", "/data"]
    trainer, *_, follower = machine.calls("systemd-run")
    for found, wanted, hardware in ((trainer, given.trainer, given.slice), (follower, given.follower, given.beside)):
        found = [kubelet(part) for part in found[found.index("/usr/bin/docker") :]]
        image = found.index(given.image)
        assert found[image + 1 :] == wanted and "--volume=/data:/data:ro" in found[:image]
        variables = given.variables(hardware)
        assert [part for part in found[:image] if part.startswith("--env=")] == [
            f"--env={name}={value}" for name, value in variables.items()
        ]


@pytest.mark.parametrize("platform", ["tpu-vm", "queued"])
def test_a_container_on_a_tpu_vm_gets_the_folder_of_its_host(platform, machine):
    """Read only, by docker's own reading of the flag; where the host has no such folder, it says so and starts nothing."""
    folder = f'{machine.folder}/a, b"c {"".join(value.replace("/", "") for value in (*VALUES, *LINES))}'
    given = dataclasses.replace(JOBS[platform], data="", directory=folder)
    machine.write(render(platform, given).all())
    ready = "ACTIVE" if platform == "queued" else "READY"
    code, errors = machine.run("launch.sh", READY=ready)
    assert code == 1 and "this host has no such folder" in errors and not machine.calls("systemd-run")
    Path(folder).mkdir()
    assert machine.run("launch.sh", READY=ready) == (0, "")
    assert not machine.calls("gcsfuse")
    for call in machine.calls("systemd-run"):
        (mount,) = (kubelet(part) for part in call if part.startswith("--mount="))
        (fields,) = csv.reader([mount.removeprefix("--mount=")], strict=True)
        assert fields == ["type=bind", f"source={folder}", f"target={folder}", "readonly"]


def check_jobset(given, machine):
    (apply,) = (call for call in machine.calls("kubectl") if call[0] == "apply")
    path = machine.folder / "job.yaml"
    assert apply == ["apply", *given.options, f"--filename={path}"]
    jobset, follower = yaml.safe_load_all(path.read_bytes())
    (part,) = jobset["spec"]["replicatedJobs"]
    pods = (part["template"]["spec"]["template"], follower["spec"]["template"])
    for pod, command, hardware in zip(pods, (given.trainer, given.follower), (given.slice, given.beside), strict=True):
        (container,) = pod["spec"]["containers"]
        assert [kubelet(text) for text in container["command"]] == command
        (mount,) = (mount for mount in container["volumeMounts"] if mount["name"] == "data")
        (volume,) = (volume for volume in pod["spec"]["volumes"] if volume["name"] == "data")
        assert mount == {"name": "data", "mountPath": "/data", "readOnly": True} and volume["csi"]["readOnly"]
        assert volume["csi"]["volumeAttributes"]["bucketName"] == "bucket"
        assert pod["metadata"]["annotations"] == {"gke-gcsfuse/volumes": "true"}
        found = {pair["name"]: kubelet(pair["value"]) for pair in container["env"]}
        assert found == given.variables(hardware)


def check_xpk(given, machine):
    """XPK puts the command into a manifest, from which a shell in the container runs it."""
    for number, (create, wanted) in enumerate(zip(machine.calls("xpk"), (given.trainer, given.follower), strict=True)):
        (command,) = (part.removeprefix("--command=") for part in create if part.startswith("--command="))
        name = f"xpk{number}"
        machine.write({name: f"({kubelet(command)}) & wait $!"})
        code, errors = machine.run(name, STANDIN_python='env --null > "$CALLS.env"')
        assert code == 0, errors
        assert machine.calls("python")[-1] == wanted[1:]
        environment = (machine.folder / "calls.env").read_bytes().decode().split("\0")
        assert all(f"{name}={value}" in environment for name, value in given.variables(given.slice).items())


def check_slurm(given, machine):
    train, follow = machine.calls("sbatch")
    assert train == ["--parsable", "--qos=high", *given.options, str(machine.folder / "train.sbatch")]
    assert follow[0] == "--dependency=after:42" and follow[-1].endswith("follow.sbatch")
    for name, wanted in (("train.sbatch", given.trainer), ("follow.sbatch", given.follower)):
        code, errors = machine.run(name, STANDIN_python='env --null > "$CALLS.env"')
        assert code == 0, errors
        assert machine.calls("python")[-1] == wanted[1:]
        environment = (machine.folder / "calls.env").read_bytes().decode().split("\0")
        assert all(f"{name}={value}" in environment for name, value in given.environment.items())


CHECKS = {
    "tpu-vm": check_tpu_vm,
    "queued": check_tpu_vm,
    "jobset": check_jobset,
    "xpk": check_xpk,
    "slurm": check_slurm,
}
