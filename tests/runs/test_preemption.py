"""A run that is asked to go."""

import os
import signal

import pytest

from mdm.runs.preemption import Preemption


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_noted_and_the_handlers_come_back(number):
    before = signal.getsignal(number)
    with Preemption() as preemption:
        assert not preemption.reached(0)
        signal.raise_signal(number)
        assert preemption.reached(1) and preemption.reached(2)
    assert signal.getsignal(number) is before


@pytest.mark.filterwarnings("ignore:.*fork")
def test_a_second_one_ends_the_process_at_once():
    child = os.fork()
    if not child:
        with Preemption():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGTERM)
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGTERM
