"""A long run as practice has it: several starts with a preemption behind each but the last, one of them on another mesh, and the
follower beside it.

python -m tests.endurance --config=FILE --workdir=DIR --report=FILE.html [--preemptions=3] [--most_mib_an_hour=200]
    [FLAG of mdm.train …]
Continues what DIR holds. Ends with one JSON object: how every process ended, which checkpoints stayed without an evaluation
(there must be none), how fast the memory of each process grew once it was warm, and which of trainers and follower grew faster
than --most_mib_an_hour (none may).
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np

from mdm import exits
from mdm.runs import log
from mdm.runs.checkpoint import CheckpointReader
from mdm.runs.folder import RunFolder
from tests.binaries import ROOT

WARM = 240.0  # seconds of a process that do not count: it compiles, and its caches fill
JUDGED = 10.0  # minutes that a process was warm, from which on its growth is judged: before, caches still fill
LOOK = 2.0  # seconds between two looks at a process and at the run
OTHER = 1  # the start that sees two devices, and so another mesh


class Process:
    """A binary of ours, and the memory that it held."""

    def __init__(self, name: str, arguments: list[str], output: Path, devices: int = 1):
        self.name, self._began, self._held = name, time.monotonic(), []
        environment = {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}"}
        with output.open("a") as file:
            self._process = subprocess.Popen([sys.executable, "-m", f"mdm.{name}", *arguments], cwd=ROOT,
                                             env=os.environ | environment, stdout=file, stderr=file)  # fmt: skip
        self._watch = threading.Thread(target=self._look)
        self._watch.start()

    def preempt(self) -> None:
        self._process.send_signal(signal.SIGTERM)

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def end(self) -> dict:
        """Waits for it."""
        code = self._process.wait()
        self._watch.join()
        figures = {"process": self.name, "code": code, "minutes": round((time.monotonic() - self._began) / 60, 1)}
        return figures | memory(self._held)

    def _look(self) -> None:
        page = os.sysconf("SC_PAGE_SIZE") / 2**20
        while self.alive:
            try:
                held = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1]) * page
            except (OSError, IndexError):  # it has just ended
                break
            self._held.append((time.monotonic() - self._began, held))
            time.sleep(LOOK)


def memory(held: list[tuple[float, float]]) -> dict:
    """Of one process, by its seconds and the MiB that it held then. mib_an_hour: by least squares over what it held while it was
    warm, and its standard error. Nothing for one that hardly was."""
    warm = np.array([(second, mib) for second, mib in held if second > WARM])
    if len(warm) < 30:
        return {}
    (slope, _), covariance = np.polyfit(warm[:, 0] / 3600, warm[:, 1], 1, cov=True)
    return {
        "mib": round(float(np.median(warm[:, 1]))),
        "most_mib": round(float(warm[:, 1].max())),
        "warm_minutes": round(float(warm[-1, 0] - WARM) / 60, 1),
        "mib_an_hour": [round(float(slope), 1), round(float(covariance[0, 0] ** 0.5), 1)],
    }


def growing(processes: list[dict], most: float) -> list[dict]:
    """Those that were warm for `JUDGED` minutes and grew faster than `most` MiB an hour, by more than two standard errors."""
    judged = [each for each in processes if "warm_minutes" in each and each["warm_minutes"] >= JUDGED]
    return [each for each in judged if each["mib_an_hour"][0] - 2 * each["mib_an_hour"][1] > most]


def reached(folder: RunFolder) -> int:
    lines = log.read(folder)
    return lines[-1]["step"] if lines else 0


def main(given: argparse.Namespace, flags: list[str]) -> dict:
    folder = RunFolder(given.workdir)
    output = given.workdir.with_suffix(".log")
    output.parent.mkdir(parents=True, exist_ok=True)
    began, ended = time.monotonic(), []
    follower = Process("evaluate", [f"--workdir={given.workdir}", "--follow", "--generated=0"], output)
    for start in range(given.preemptions + 1):
        stop = given.steps * (start + 1) // (given.preemptions + 1)
        if reached(folder) >= stop:
            continue
        trainer = Process("train", [f"--config={given.config}", f"--workdir={given.workdir}", *flags], output,
                          2 if start == OTHER else 1)  # fmt: skip
        while trainer.alive and (start == given.preemptions or reached(folder) < stop):
            time.sleep(LOOK)
        if trainer.alive:
            trainer.preempt()
        ended.append(trainer.end())
        print(json.dumps(ended[-1] | {"step": reached(folder)}), flush=True)
        if ended[-1]["code"] not in (0, exits.PREEMPTED):
            follower.preempt()  # it would wait for the end of the run
            raise SystemExit(f"the trainer ended with {ended[-1]['code']}, see {output}")
    ended.append(follower.end())
    grown = growing(ended, given.most_mib_an_hour)
    left = CheckpointReader(folder.checkpoints).steps()
    missed = [step for step in left if not (folder.evaluations / f"step-{step:09d}.jsonl").exists()]
    hours = round((time.monotonic() - began) / 3600, 2)
    ended.append(Process("evaluate", [f"--workdir={given.workdir}", f"--report={given.report}"], output).end())
    return {"hours": hours, "steps": reached(folder), "processes": ended, "checkpoints": left, "without_evaluation": missed,
            "growing": grown, "report": given.report.exists()}  # fmt: skip


def bad(found: dict) -> bool:
    """Whether what `main` found is not as it must be."""
    codes = [process["code"] for process in found["processes"]]
    missing = bool(found["without_evaluation"]) or not found["report"]
    return missing or bool(found["growing"]) or any(code not in (0, exits.PREEMPTED) for code in codes)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", required=True)
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--report", type=Path, required=True)
    parser.add_argument("--steps", type=int, required=True, help="of the whole run")
    parser.add_argument("--preemptions", type=int, default=3)
    parser.add_argument(
        "--most_mib_an_hour", type=float, default=200.0, help="by which a trainer or the follower may grow"
    )
    found = main(*parser.parse_known_args())
    print(json.dumps(found))
    sys.exit(bad(found))
