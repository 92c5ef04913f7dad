"""The binaries as processes of their own that need not import anything first: a server imports once and forks.

Run as a program, it is the server: a JSON line of [module, arguments, folder, environment] in, one of [code, stdout, stderr] out.
"""

import atexit
import functools
import json
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
HEAVY = (
    "mdm.pretraining", "mdm.evaluating", "mdm.data.preparation", "mdm.studies.page", "mdm.studies.trial", "orbax.checkpoint",
)  # fmt: skip


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


def run(name: str, *arguments: str, folder: Path = ROOT, environment: Mapping[str, str] | None = None) -> Done:
    """`python -m mdm.NAME ARGUMENTS` in `folder`. environment: what is changed of it."""
    server = _server()
    server.stdin.write(json.dumps([f"mdm.{name}", arguments, str(folder), dict(environment or {})]) + "\n")
    server.stdin.flush()
    return Done(*json.loads(server.stdout.readline()))


@functools.cache
def _server() -> subprocess.Popen:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    server = subprocess.Popen([sys.executable, __file__], env=environment, text=True, stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE)  # fmt: skip
    atexit.register(server.stdin.close)
    return server


def _serve() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what an import prints is no answer
    for module in HEAVY:
        __import__(module)
    for line in sys.stdin:
        module, arguments, folder, environment = json.loads(line)
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as error:
            child = os.fork()
            if not child:
                os.environ.update(environment)
                be(module, arguments, folder, out.fileno(), error.fileno())
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            told = []
            for file in (out, error):
                file.seek(0)
                told.append(file.read().decode(errors="replace"))
        print(json.dumps([code, *told]), file=answers, flush=True)


def be(module: str, arguments: list[str], folder: str, out: int, error: int) -> None:
    """In the child: the binary, from its first line to its exit code."""
    code = 1
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(error, 2)
        os.chdir(folder)
        sys.path[0] = folder
        sys.argv = [module, *arguments]
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        atexit._run_exitfuncs()  # of JAX: processes of one job take leave of each other
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve()
