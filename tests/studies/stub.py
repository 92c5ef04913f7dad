"""A pool of trials that train nothing, as a process that a test can kill.

stub.py DIR: runs the pool. stub.py DIR ID: is a trial; it fails while DIR/fail-ID exists, and takes a minute from the number
in DIR/slow on. It imports next to nothing.
"""

import json
import os
import sys
import time
from pathlib import Path

from mdm.studies import parent

COUNT = 6


def trial(directory: str, name: str) -> None:
    parent.follow(sys.stdin.fileno())
    own = Path(directory) / "trials" / name
    (own / f"pid-{os.getpid()}").touch()
    print("line of the log", flush=True)
    slow = Path(directory) / "slow"
    time.sleep(60 if slow.exists() and int(name, 16) >= int(slow.read_text()) else 0.2)
    if (Path(directory) / f"fail-{name}").exists():
        raise SystemExit("out of luck")
    with (own / "runs").open("a") as file:
        file.write("x")
    result = {"metrics": {"loss": 1 / (1 + int(name, 16))}, "diverged": False}
    (own / "part.json").write_text(json.dumps(result))
    (own / "part.json").rename(own / "result.json")


def trials():
    from mdm.studies.plan import Trial

    return tuple(Trial(f"{n:016x}", {"level": str(n), "seed": "0"}, {"n": n}) for n in range(COUNT))


def study(directory: str):
    from mdm.studies import pool
    from mdm.studies.folder import StudyFolder

    folder, own = StudyFolder(directory), trials()
    folder.create()
    command = lambda one: [sys.executable, __file__, directory, one.id]  # noqa: E731
    return pool.run(own, folder, command, jobs=2, finished=lambda: folder.write_table(own, ("loss",)))


if __name__ == "__main__":
    trial(*sys.argv[1:]) if len(sys.argv) > 2 else study(sys.argv[1])
