"""Kills a tiny run at random instants, and checks that what comes out is the run that nobody disturbed.

python -m tests.chaos --folder=DIR [--kills=50] [--seed=0]. Continues what DIR holds; a line of DIR/kills.jsonl a kill.

This process imports once and forks: each victim is a binary of ours that announces, through a pipe, which moment it is in. The
kill comes a random time after a random one of them. It never asks JAX for devices, which would not survive a fork.
"""

import argparse
import functools
import json
import os
import random
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from mdm import config, exits
from tests import binaries
from tests.tiny import tiny_config, write_data

STEPS, EVERY = 24, 3
PACE = {
    1: 0.02,
    2: 0.1,
}  # seconds that a step takes at least: a signal needs a second until two processes agree on a step
RUNS = ((1, 4), (2, 1), (1, 8), (2, 4))  # (processes, kills) of the runs, over and over
# What is hit, with how many such moments at most are let pass. Each kill takes the next one.
MOMENTS = (("save", 2), ("restore", 0), ("first step", 0), ("prefetch", 5), ("seal", 2), ("step", 8), ("line", 8),
           ("evaluation", 2))  # fmt: skip
LED = ("seal", "line")  # moments that process 0 alone has
LONGEST = 0.15  # seconds between the moment and the kill
PATIENCE = 600
ATTEMPTS = 20  # to hit a run before it gets through


def main(root: Path, kills: int, seed: int) -> None:
    root.mkdir(parents=True, exist_ok=True)
    prepare(root)
    done = [json.loads(line) for line in read(root / "kills.jsonl").splitlines()]
    number = max((kill["run"] for kill in done), default=0)
    while len(done) < kills or not (root / f"run-{number}" / "checked").exists():
        processes, most = RUNS[number % len(RUNS)]
        whole(root, processes)
        run = root / f"run-{number}"
        while sum(kill["run"] == number for kill in done) < most and len(done) < kills:
            draw = random.Random(f"{seed} {len(done)}")
            kill = {"run": number, "processes": processes, **strike(root, run, processes, len(done), draw)}
            with (root / "kills.jsonl").open("a") as file:
                file.write(json.dumps(kill) + "\n")
            done.append(kill)
            print(kill, flush=True)
        finish(root, run, processes)
        number += len(done) < kills
    print(f"{len(done)} kills, {number + 1} runs: every one is the run that was not disturbed")


def prepare(root: Path) -> None:
    if (root / "config.py").exists():
        return
    in_a_child(lambda: write_data(root / "set"))  # its threads would not survive a fork either
    value = tiny_config(str(root / "set"))
    value["training"] |= {"tokens": STEPS * 8 * 96, "log_every": 1}
    value["checkpoints"] |= {"every": EVERY, "latest": 100}
    value["guards"]["starts"] = 0  # it is started often on purpose
    config.resolve(value)
    text = f"from ml_collections import ConfigDict\n\ndef get_config():\n    return ConfigDict({value!r})\n"
    (root / "config.py").write_text(text)


def whole(root: Path, processes: int) -> None:
    """The run that nobody disturbs."""
    folder = root / f"whole-{processes}"
    if not (folder / "end.json").exists():
        expect([victim.wait() for victim in train(root, folder, processes)], {0})
    if not (folder / "evaluations").exists():
        expect([evaluate(root, folder).wait()], {0})


def strike(root: Path, run: Path, processes: int, number: int, draw: random.Random) -> dict:
    """One kill, and what must hold behind it."""
    for _ in range(ATTEMPTS):
        moment, most = MOMENTS[number % len(MOMENTS)]
        begun = (run / "checkpoints").exists() and any(path.name.isdigit() for path in (run / "checkpoints").iterdir())
        if moment in ("restore", "evaluation") and not begun:
            moment, most = MOMENTS[draw.choice((0, 3, 5))]
        number_of_it, delay = draw.randint(1, most + 1), draw.uniform(0, LONGEST)
        term = draw.random() < 0.5 if processes == 1 else number % 2 == 1 or number < 5
        victims = [evaluate(root, run)] if moment == "evaluation" else train(root, run, processes)
        struck = victims[0] if moment in LED else draw.choice(victims)
        hit = struck.reaches(moment, number_of_it)
        time.sleep(delay)
        for victim in [struck] if term else [struck, *victims]:  # whoever started them ends those that are left
            victim.send(signal.SIGTERM if term else signal.SIGKILL)
        codes = [victim.wait() for victim in victims]
        after = {0, exits.PREEMPTED} if term and moment != "evaluation" else {0, -signal.SIGTERM, -signal.SIGKILL}
        expect(codes, after)
        before = int(read(run / "announced") or 0)  # in the folder: one that got through takes it along
        announced = max([before, *(step for victim in victims for step in victim.sealed)])
        if announced > before:
            (run / "announced").write_text(str(announced))
        in_a_child(functools.partial(check_announced, run, announced, exits.PREEMPTED in codes))
        if hit and set(codes) != {0}:
            return {"moment": moment, "which": number_of_it, "delay": round(delay, 3), "announced": announced,
                    "signal": "TERM" if term else "KILL", "codes": codes}  # fmt: skip
        if (run / "end.json").exists() and moment != "evaluation":  # it got through: the next one may not
            finish(root, run, processes)
            os.rename(run, root / f"undisturbed-{time.time_ns()}")
    raise SystemExit(f"CHAOS: {moment} was not reached in {ATTEMPTS} attempts: is it still announced?")


def finish(root: Path, run: Path, processes: int) -> None:
    """Lets a run go to its end, and compares."""
    if (run / "checked").exists():
        return
    expect([victim.wait() for victim in train(root, run, processes)], {0})
    expect([evaluate(root, run).wait()], {0})
    in_a_child(lambda: check_same(run, root / f"whole-{processes}"))
    (run / "checked").touch()


def check_announced(run: Path, announced: int, preempted: bool) -> None:
    from mdm.runs import starts
    from mdm.runs.checkpoint import CheckpointReader
    from mdm.runs.folder import RunFolder

    folder = RunFolder(run)
    newest = CheckpointReader(folder.checkpoints).latest() or 0
    assert newest >= announced, f"checkpoint {announced} was announced, {newest} is the newest"
    own = starts.read(folder)
    assert not preempted or newest == own[-1].reached, f"asked to go at {own[-1].reached}, {newest} is the newest"


def check_same(run: Path, other: Path) -> None:
    """Rows, noise, losses (every figure of every step), parameters and results."""
    import jax
    import numpy as np

    from mdm.model.network import Network
    from mdm.runs.checkpoint import CheckpointReader
    from mdm.runs.folder import RunFolder
    from mdm.tokens.vocabulary import Vocabulary
    from tests.training.curves import curve

    folders = [RunFolder(run), RunFolder(other)]
    curves = [curve(folder) for folder in folders]
    assert len(curves[0]) == STEPS
    for line, expected in zip(*curves, strict=True):
        assert line == expected, {key for key in line if line[key] != expected[key]}
    settings = config.from_dict(folders[0].read_json(folders[0].config), "config.json")
    vocabulary = Vocabulary.from_json(folders[0].read_json(folders[0].vocabulary), "vocabulary.json")
    abstract = Network(settings.model, vocabulary).abstract_parameters()
    trees = [CheckpointReader(folder.checkpoints).restore_parameters(STEPS, abstract) for folder in folders]
    jax.tree.map(np.testing.assert_array_equal, *trees)
    results = [read(folder.evaluations / f"step-{STEPS:09d}.jsonl").splitlines() for folder in folders]
    for line, expected in zip(*([json.loads(line) for line in lines] for lines in results), strict=True):
        for own in (line, expected):
            # Of the machine and, of the checkpoint, which files hold it: their names and the times in them are of their making.
            del own["seconds"], own["time"], own["checkpoint"]
        assert line == expected


class Victim:
    """A binary of ours as a forked process. sealed: steps of checkpoints that it has announced."""

    def __init__(self, root: Path, name: str, arguments: list[str], pace: float):
        self.sealed: list[int] = []
        self._text, self._code, (self._pipe, write) = b"", None, os.pipe()
        log = os.open(root / "victims.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._pid = os.fork()
        if not self._pid:
            os.close(self._pipe)
            announce(write, pace)
            binaries.be(f"mdm.{name}", arguments, str(binaries.ROOT), log, log)
        os.close(write)
        os.close(log)

    def reaches(self, moment: str, number: int) -> bool:
        """Waits for the number-th such moment; False if it ended before."""
        while number:
            line = self._line()
            if line is None:
                return False
            number -= line == moment
        return True

    def send(self, which: int) -> None:
        if self._code is None:
            os.kill(self._pid, which)

    def wait(self) -> int:
        if self._code is None:
            watch = time.monotonic()
            while self._line() is not None:
                if time.monotonic() - watch > PATIENCE:
                    self.send(signal.SIGKILL)
            self._code = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
            os.close(self._pipe)
        return self._code

    def _line(self) -> str | None:
        while b"\n" not in self._text:
            more = os.read(self._pipe, 4096)
            if not more:
                return None
            self._text += more
        line, _, self._text = self._text.partition(b"\n")
        what = line.decode()
        if what.startswith("sealed "):
            self.sealed.append(int(what.split()[1]))
        return what


def announce(pipe: int, pace: float) -> None:
    """In the child: its moments go into the pipe."""
    from mdm.data.pipeline import Rows
    from mdm.evaluation.elbo import Scorer
    from mdm.runs import seal
    from mdm.runs.checkpoint import CheckpointReader, Checkpoints
    from mdm.runs.log import MetricsLog
    from mdm.training import sharding

    def tell(moment: str) -> None:
        os.write(pipe, moment.encode() + b"\n")

    def wrap(place: object, name: str, moment: str, behind: Callable = lambda *_: None) -> None:
        act = getattr(place, name)

        def wrapped(*arguments, **keywords):
            tell(moment)
            found = act(*arguments, **keywords)
            behind(*arguments)
            return found

        setattr(place, name, wrapped)

    def paced(jit_step: Callable) -> Callable:
        def wrapped(*arguments):
            run, take = jit_step(*arguments)
            seen = iter(["first step"])

            def step(*own):
                time.sleep(pace)
                tell(next(seen, "step"))
                return run(*own)

            return step, take

        return wrapped

    wrap(Checkpoints, "save", "save")
    wrap(Checkpoints, "_read", "restore")
    wrap(seal, "write", "seal", lambda step: tell(f"sealed {step.name}"))
    wrap(MetricsLog, "write", "line")
    wrap(Rows, "at", "prefetch")
    wrap(Scorer, "scores", "evaluation")
    wrap(CheckpointReader, "restore_parameters", "evaluation")
    sharding.jit_step = paced(sharding.jit_step)


def train(root: Path, folder: Path, processes: int) -> list[Victim]:
    flags = [f"--config={root}/config.py", f"--workdir={folder}"]
    own = [[]]
    if processes > 1:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
        among = [f"--coordinator=127.0.0.1:{port}", f"--processes={processes}"]
        own = [[*among, f"--process={number}"] for number in range(processes)]
    return [Victim(root, "train", [*flags, *more], PACE[processes]) for more in own]


def evaluate(root: Path, folder: Path) -> Victim:
    return Victim(root, "evaluate", [f"--workdir={folder}"], 0.0)


def in_a_child(check: Callable[[], None]) -> None:
    """JAX is used there, and not here."""
    child = os.fork()
    if not child:
        try:
            check()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        raise SystemExit("CHAOS: what must hold does not, see above")


def expect(codes: list[int], allowed: set[int]) -> None:
    if not set(codes) <= allowed:
        raise SystemExit(f"CHAOS: ended with {codes}, expected of {sorted(allowed)}; see victims.log")


def read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    for module in binaries.HEAVY:
        __import__(module)
    sys.stdout.reconfigure(line_buffering=True)
    main(given.folder.resolve(), given.kills, given.seed)
