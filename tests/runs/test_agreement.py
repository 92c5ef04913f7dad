"""What fails on one process of a job ends all of them alike."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mdm import exits
from mdm.problems import Problem, Refusal
from mdm.runs import agreement

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


def test_two_processes_end_with_the_same_codes():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    command = [sys.executable, "-c", PROCESS, address]
    processes = [
        subprocess.Popen([*command, str(number)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for number in range(2)
    ]
    told = [process.communicate(timeout=120) for process in processes]
    for number, (out, errors) in enumerate(told):
        assert out, errors
        assert json.loads(out.splitlines()[-1]) == [*(exits.FAULT, exits.REFUSED) * 2, 5 + number, 7]


@pytest.mark.parametrize("error", [TimeoutError("no answer"), Refusal(Problem("here", None, "is wrong", "mend it"))])
def test_one_process_alone_tells_its_own_error(error):
    def fails():
        raise error

    for ask in (agreement.led, agreement.together):
        with pytest.raises(type(error)) as raised:
            ask(fails)
        assert raised.value is error
