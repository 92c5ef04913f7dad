"""A pool of trials that train nothing, as a process that a test can kill.

stub.py DIR: runs the pool. stub.py DIR ID: is a trial; it fails while DIR/fail-ID exists, and takes a minute from the number
in DIR/slow on.
"""

import os
import sys
import time
from pathlib import Path

from mdm.studies import pool
from mdm.studies.folder import StudyFolder
from mdm.studies.plan import Trial

TRIALS = tuple(Trial(f"{n:016x}", {"level": str(n), "seed": "0"}, {"n": n}) for n in range(6))


def trial(directory: str, name: str) -> None:
    pool.follow_parent(sys.stdin.fileno())
    folder = StudyFolder(directory)
    own = folder.run_folder(name).path
    (own / f"pid-{os.getpid()}").touch()
    print("line of the log", flush=True)
    slow = Path(directory) / "slow"
    time.sleep(60 if slow.exists() and int(name, 16) >= int(slow.read_text()) else 0.4)
    if (Path(directory) / f"fail-{name}").exists():
        raise SystemExit("out of luck")
    with (own / "runs").open("a") as file:
        file.write("x")
    folder.write_result(name, {"metrics": {"loss": 1 / (1 + int(name, 16))}, "diverged": False})


def study(directory: str) -> tuple[pool.Failure, ...]:
    folder = StudyFolder(directory)
    folder.create()
    command = lambda own: [sys.executable, __file__, directory, own.id]  # noqa: E731
    write = lambda: folder.write_table(TRIALS, ("loss",))  # noqa: E731
    return pool.run(TRIALS, folder, command, jobs=2, finished=write)


if __name__ == "__main__":
    trial(*sys.argv[1:]) if len(sys.argv) > 2 else study(sys.argv[1])
