"""What fails on one process of a job ends all of them alike."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from etils import epath

from mdm import exits
from mdm.problems import Problem, Refusal
from mdm.runs import agreement
from mdm.runs.checkpoint import CheckpointReader

ROOT = Path(__file__).parents[2]
# A process tells the codes that it would end with, in each of the cases.
PROCESS = """
import json, sys
import jax
from mdm import exits
from mdm.problems import Problem, Refusal
from mdm.runs import agreement

jax.distributed.initialize(sys.argv[1], 2, int(sys.argv[2]))
refusal, timeout = Refusal(Problem("here", None, "is wrong", "mend it")), TimeoutError("no answer")

def fails_on(process, error):
    if jax.process_index() == process:
        raise error
    return 3

codes = []
for act in (
    lambda: agreement.together(lambda: fails_on(1, timeout)),
    lambda: agreement.together(lambda: fails_on(1, refusal)),
    lambda: agreement.led(lambda: fails_on(0, timeout)),
    lambda: agreement.led(lambda: fails_on(0, refusal)),
):
    try:
        act()
        codes.append(0)
    except Exception as error:
        codes.append(exits.code_of(error))
codes += [agreement.together(lambda: 5 + jax.process_index()), agreement.led(lambda: 7)]
print(json.dumps(codes))
"""


# The file system takes no more than a few bytes a file while the second checkpoint is written.
SAVES = """
import json, resource, signal, sys
import jax, numpy as np
from etils import epath
from jax.sharding import NamedSharding, PartitionSpec
from mdm.runs.checkpoint import Checkpoints, CheckpointSettings

jax.distributed.initialize(sys.argv[1], 2, int(sys.argv[2]))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
places = NamedSharding(jax.make_mesh((2,), ("x",)), PartitionSpec("x"))

def state(value):
    leaf = jax.make_array_from_callback((4096,), places, lambda index: np.full(2048, value, np.float32))
    return {"parameters": {"a": leaf}, "ema": {"a": leaf}, "rows": leaf}

with Checkpoints(epath.Path(sys.argv[3]), CheckpointSettings(every=1, latest=10)) as checkpoints:
    held = []
    for step in (1, 2, 3):
        if step == 2:
            resource.setrlimit(resource.RLIMIT_FSIZE, (16, resource.RLIM_INFINITY))
        checkpoints.save(step, state(step), {"row": step})
        checkpoints.wait()
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        held.append(checkpoints.holds(step))
print(json.dumps(held))
"""


def on_two_processes(program: str, *arguments: str) -> list:
    """What each printed last."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    command = [sys.executable, "-c", program, address]
    processes = [
        subprocess.Popen([*command, str(number), *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         text=True) for number in range(2)
    ]  # fmt: skip
    told = [process.communicate(timeout=120) for process in processes]
    assert all(out for out, _ in told), told
    return [json.loads(out.splitlines()[-1]) for out, _ in told]


def test_two_processes_end_with_the_same_codes():
    found = on_two_processes(PROCESS)
    assert found == [[*(exits.FAULT, exits.REFUSED) * 2, 5 + number, 7] for number in range(2)]


def test_a_save_that_fails_on_two_processes_costs_one_checkpoint(tmp_path):
    assert on_two_processes(SAVES, str(tmp_path / "checkpoints")) == [[True, False, True]] * 2
    reader = CheckpointReader(epath.Path(tmp_path / "checkpoints"))
    assert reader.steps() == [1, 3] and reader.latest() == 3


@pytest.mark.parametrize("error", [TimeoutError("no answer"), Refusal(Problem("here", None, "is wrong", "mend it"))])
def test_one_process_alone_tells_its_own_error(error):
    def fails():
        raise error

    for ask in (agreement.led, agreement.together):
        with pytest.raises(type(error)) as raised:
            ask(fails)
        assert raised.value is error
