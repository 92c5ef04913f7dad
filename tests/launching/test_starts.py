"""What the scripts do: the order of things, and what comes after the end of a process."""

import dataclasses
import re
import signal
import time

import pytest

from mdm import exits
from mdm.launching.platforms import render
from tests.launching.conftest import JOBS

QUEUED = JOBS["queued"]
SYSTEMCTL = 'if [[ "$1" == show ]]; then echo {mark}; else echo {state}; fi'


@pytest.mark.parametrize("platform", ["tpu-vm", "queued", "jobset", "xpk"])
def test_a_job_that_preflight_refuses_is_not_launched(platform, machine):
    machine.write(render(platform, JOBS[platform]).all())
    code, _ = machine.run("launch.sh", STANDIN_python="exit 2")
    assert code == 2
    asked = [call for tool in ("gcloud", "kubectl", "xpk") for call in machine.calls(tool) if "describe" not in call]
    assert asked == []


def gcloud(machine) -> list[str]:
    """The verbs, without looks at states."""
    return [call[3] for call in machine.calls("gcloud") if call[0] == "compute" and call[3] != "describe"]


@pytest.fixture
def queued(machine):
    machine.environment["READY"] = "ACTIVE"
    machine.write(render("queued", QUEUED).all())
    return machine


def test_machines_that_are_there_are_not_asked_for_again(queued):
    assert queued.run("launch.sh")[0] == 0
    assert gcloud(queued) == ["create", "ssh", "ssh", "ssh"]  # two slices, and the evaluator on the first
    assert queued.run("launch.sh")[0] == 0
    assert gcloud(queued)[4:] == ["ssh", "ssh", "ssh"]
    assert len(queued.calls("python")) == 1  # preflight


def test_machines_that_were_taken_away_are_asked_for_again(queued):
    queued.state(QUEUED.name, "SUSPENDED")
    assert queued.run("launch.sh")[0] == 0
    assert gcloud(queued) == ["delete", "create", "ssh", "ssh", "ssh"]


@pytest.mark.parametrize("state", ["STOPPED", "DELETING"])
def test_machines_that_somebody_stops_are_left_alone(queued, state):
    queued.state(QUEUED.name, state)
    code, errors = queued.run("launch.sh")
    assert code == 1 and state in errors
    assert gcloud(queued) == []


TOKEN = "ERROR: (gcloud.compute.tpus.queued-resources.describe) There was a problem refreshing your current auth tokens"


def test_a_state_that_cannot_be_asked_for_is_asked_for_again(queued):
    """While machines are waited for: what is asked for stays asked for, and costs, whatever becomes of this script."""
    queued.answers("WAITING", "WAITING", "WAITING", TOKEN, TOKEN, "ACTIVE")
    code, errors = queued.run("launch.sh")
    assert code == 0 and errors.count("refreshing") == 2 and errors.count("goes on asking") == 2
    assert gcloud(queued) == ["ssh", "ssh", "ssh"] and len(queued.calls("sleep")) == 3


@pytest.mark.parametrize("after", ["ACTIVE", "SUSPENDED"])
def test_nothing_is_given_back_or_asked_for_while_the_state_is_not_known(queued, after):
    """Machines may be there: a second request would be a second bill."""
    queued.state(QUEUED.name, after)
    queued.answers(TOKEN, TOKEN, TOKEN)
    code, errors = queued.run("launch.sh")
    assert code == (0 if after == "ACTIVE" else 1) and "refreshing" in errors
    assert gcloud(queued) == (["ssh", "ssh", "ssh"] if after == "ACTIVE" else [])


@pytest.mark.parametrize("platform, fails", [("tpu-vm", "create"), ("queued", "create"), ("queued", "ssh")])
def test_an_evaluator_that_cannot_be_started_does_not_stop_the_trainer(platform, fails, machine):
    machine.environment["READY"] = "ACTIVE" if platform == "queued" else "READY"
    machine.write(render(platform, dataclasses.replace(JOBS[platform], evaluator="v5p:2x2x1")).all())
    refuses = f'if [[ "$4 $5" == "{fails} tri-modal-3b-follower" ]]; then echo "no quota" >&2; exit 9; fi\n'
    code, errors = machine.run("launch.sh", STANDIN_gcloud=refuses + machine.environment["STANDIN_gcloud"])
    assert code == 9 and "no quota" in errors and "THE EVALUATOR WAS NOT STARTED" in errors
    started = {call[0] for call in machine.calls("systemd-run")}
    assert started == {"--unit=tri-modal-3b"}


@pytest.mark.parametrize("platform", ["tpu-vm", "queued"])
def test_the_trainer_runs_while_the_evaluator_waits_for_its_machine(platform, machine):
    """Slices that are there cost, whatever is waited for beside them."""
    ready = machine.environment["READY"] = "ACTIVE" if platform == "queued" else "READY"
    machine.write(render(platform, dataclasses.replace(JOBS[platform], evaluator="v5p:2x2x1")).all())
    machine.state("tri-modal-3b-follower", "WAITING")
    come = f'cp "$CALLS" "$CALLS.then"; echo {ready} > "$CALLS.state.tri-modal-3b-follower"'
    code, errors = machine.run("launch.sh", STANDIN_sleep=come)
    assert code == 0, errors
    then = (machine.folder / "calls.then").read_text()
    assert "--unit=tri-modal-3b\0" in then and "--unit=tri-modal-3b-follower" not in then
    assert machine.calls("systemd-run")[-1][0] == "--unit=tri-modal-3b-follower"


@pytest.mark.parametrize("state, starts", [("inactive", 1), ("active", 0), ("activating", 0), ("failed", 0)])
def test_a_host_starts_what_does_not_run(queued, state, starts):
    queued.run("train.host.sh")
    ((*_, mark),) = (
        [part.partition("=")[2] for part in call if "--description" in part] for call in queued.calls("systemd-run")
    )
    code, errors = queued.run("train.host.sh", STANDIN_systemctl=SYSTEMCTL.format(state=state, mark=mark))
    assert len(queued.calls("systemd-run")) == 1 + starts
    assert (code, "reset-failed" in errors) == ((1, True) if state == "failed" else (0, False))


def test_a_host_says_that_what_runs_has_other_settings(queued):
    code, errors = queued.run("train.host.sh", STANDIN_systemctl=SYSTEMCTL.format(state="active", mark="mdm-another"))
    assert code == 1 and "other settings" in errors and not queued.calls("systemd-run")
    (first,), (other,) = (
        [line for line in render("queued", job).files["train.host.sh"].splitlines() if "--description" in line]
        for job in (QUEUED, dataclasses.replace(QUEUED, environment={"LIBTPU_INIT_ARGS": "--third=3"}))
    )
    assert first != other


@pytest.mark.parametrize(
    "now, verbs",
    [
        ("", ["get", "delete", "apply"]),  # the follower goes with each launch: it only reads
        ("tri-modal-3b Completed", ["get", "delete", "delete", "apply"]),
        ("tri-modal-3b Suspended Failed", ["get", "delete", "delete", "apply"]),
        ("tri-modal-3b StartupPolicyCompleted", ["get"]),
        ("tri-modal-3b", ["get"]),
    ],
)
def test_a_job_on_gke_that_has_ended_is_taken_away_and_one_that_runs_is_refused(machine, now, verbs):
    machine.write(render("jobset", JOBS["jobset"]).all())
    code, errors = machine.run("launch.sh", STANDIN_kubectl=f'if [[ "$1" == get ]]; then echo {now!r}; fi')
    calls = machine.calls("kubectl")
    assert [call[0] for call in calls] == verbs, errors
    assert all("--namespace=team" in call for call in calls)
    assert (code, "has not ended" in errors) == ((0, False) if "apply" in verbs else (1, True))


def test_a_workload_that_xpk_refuses_ends_the_script_with_what_helps(machine):
    machine.write(render("xpk", JOBS["xpk"]).all())
    code, errors = machine.run("launch.sh", STANDIN_xpk="exit 3")
    assert code == 3 and "xpk workload delete" in errors and len(machine.calls("xpk")) == 1


@pytest.mark.parametrize(
    "code, restarts, again",
    [(0, 0, False), *((code, 0, False) for code in exits.FINAL), *((code, 0, True) for code in exits.AGAIN),
     (137, 99, True), (137, 100, False)],
)  # fmt: skip
def test_slurm_starts_again_what_may_succeed(machine, code, restarts, again):
    machine.write(render("slurm", JOBS["slurm"]).all())
    found, errors = machine.run("train.sbatch", STANDIN_python=f"exit {code}", SLURM_RESTART_COUNT=str(restarts))
    assert machine.calls("scontrol") == ([["requeue", "42"]] if again else []), errors
    assert found == (0 if again else code)


@pytest.mark.parametrize("state", ["COMPLETING", "CANCELLED"])
def test_a_cancelled_slurm_job_stays_cancelled(machine, state):
    machine.write(render("slurm", JOBS["slurm"]).all())
    found, errors = machine.run("train.sbatch", STANDIN_python="exit 75", STANDIN_squeue=f"echo {state}")
    assert (found, machine.calls("scontrol")) == (75, []), errors


def test_a_slurm_job_that_may_not_be_requeued_tells_its_own_code(machine):
    machine.write(render("slurm", JOBS["slurm"]).all())
    assert machine.run("train.sbatch", STANDIN_python="exit 75", STANDIN_scontrol="exit 1")[0] == 75


def test_a_preempted_slurm_job_waits_for_its_processes(machine):
    """The scheduler signals the whole job: the shell of the script must not go before the trainer has saved."""
    machine.write(render("slurm", JOBS["slurm"]).all())
    process = machine.start("train.sbatch", STANDIN_python="touch began; sleep 0.5; touch saved; exit 75")
    for _ in range(200):
        if (machine.folder / "began").exists():
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert (machine.folder / "saved").exists() and machine.calls("scontrol") == [["requeue", "42"]]


def test_a_slurm_job_that_has_not_ended_is_refused_with_the_command_that_stops_it(machine):
    """Trainer or evaluator, on the cluster that they were sent to."""
    hostile = "--clusters=one,$(touch pwned)'"
    job = dataclasses.replace(JOBS["slurm"], options=(*JOBS["slurm"].options, hostile))
    machine.write(render("slurm", job).all())
    code, errors = machine.run("launch.sh", STANDIN_squeue='printf "42\\n43\\n"')
    asked = ["--name=tri-modal-3b,tri-modal-3b-follower", "--format=%A", hostile]
    assert code == 1 and machine.calls("squeue")[0][-3:] == asked and not machine.calls("sbatch")
    (told,) = re.findall("(scancel .*) stops it; then run this script again", errors)
    machine.write({"stop.sh": f"set -- {told}\nprintf '%s\\n' \"$@\" > told"})
    assert machine.run("stop.sh")[0] == 0
    assert (machine.folder / "told").read_text().splitlines() == ["scancel", hostile, "42", "43"]
    assert not (machine.folder / "pwned").exists()
    assert machine.run("launch.sh", STANDIN_squeue="exit 1")[0] == 1 and not machine.calls("sbatch")
    assert machine.run("launch.sh")[0] == 0 and len(machine.calls("sbatch")) == 2


def test_slurm_tells_the_numbers_of_both_jobs(machine):
    """Who stops the trainer alone leaves an evaluator that waits, on hardware of its own, for the end of the run."""
    machine.write(render("slurm", JOBS["slurm"]).all())
    numbered = 'if [[ "$*" == *follow.sbatch ]]; then echo "43;cluster"; else echo "42;cluster"; fi'
    process = machine.start("launch.sh", STANDIN_sbatch=numbered)
    told, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    assert told.splitlines() == ["trainer: job 42", "evaluator: job 43", "To stop both: scancel 42 43"]


@pytest.mark.parametrize("platform", ["tpu-vm", "queued"])
def test_the_commands_that_are_printed_stop_every_unit_on_its_machine(platform, machine):
    machine.environment["READY"] = {"tpu-vm": "READY", "queued": "ACTIVE"}[platform]
    machine.write(render(platform, JOBS[platform]).all())
    process = machine.start("launch.sh")
    told, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    started = {(call[4], call[-2]) for call in machine.calls("gcloud") if call[3] == "ssh"}
    units = [part.partition("=")[2] for call in machine.calls("systemd-run") for part in call if "--unit=" in part]
    stops = [line for line in told.splitlines() if "systemctl stop" in line]
    machine.write({"stop.sh": "\n".join(stops)})
    before = len(machine.calls("gcloud"))
    assert machine.run("stop.sh", STANDIN_systemctl="")[0] == 0
    assert {(call[4], call[-2]) for call in machine.calls("gcloud")[before:]} == started
    assert [call[1] for call in machine.calls("systemctl") if call[0] == "stop"] == units
    assert f"{JOBS[platform].name}-follower" in units


def test_grace_and_restarts_reach_every_platform():
    said = {
        "tpu-vm": (
            "TimeoutStopSec=77",
            "--stop-timeout=77",
            "After=docker.service",
            "RestartForceExitStatus=75 143",
            "SuccessExitStatus=75 143",
            "StartLimitBurst=34",
        ),
        "jobset": ("terminationGracePeriodSeconds: 77", "maxRestarts: 33"),
        "xpk": ("--termination-grace-period-seconds=77", "--max-restarts=33"),
        "slurm": ("--signal=TERM@77", ">= 33"),
    }
    for platform, words in said.items():
        files = render(platform, dataclasses.replace(JOBS[platform], grace=77, restarts=33)).all()
        assert all(word in "".join(files.values()) for word in words), platform
