"""What the processes of a job agree on: what process 0 finds out alone, and whether all of them succeeded."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import jax
import numpy as np
from jax._src import distributed
from jax.experimental import multihost_utils

from mdm import exits
from mdm.problems import Fault, Problem, Refusal

Result = TypeVar("Result")


def several() -> bool:
    """Whether this is one of several processes. One that joined no others is alone, even if its devices do not come up."""
    try:
        return jax.process_count() > 1
    except RuntimeError:
        if jax.distributed.is_initialized():
            raise
        return False


def process() -> int:
    """The number of this process in its job; 0 for one alone."""
    return jax.process_index() if several() else 0


def leads() -> bool:
    """Whether this is the process that writes for all of them."""
    return process() == 0


def first() -> bool:
    """Whether this process is alone or has number 0 in its job, asked without devices: while they are waited for, JAX holds the
    lock that `leads` wants. (In public JAX tells the number by its devices alone.)"""
    return distributed.global_state.process_id == 0


def led(act: Callable[[], int]) -> int:
    """The number >= 0 that `act` gives on process 0. What fails there fails everywhere, with the same code: a process that
    waited for one that is gone would end with another, and be started again or not, as the first would not be."""
    if not several():
        return act()
    failure, found = None, 0
    if leads():
        try:
            found = act()
        except Exception as error:
            failure, found = error, -exits.code_of(error)
    found = int(multihost_utils.broadcast_one_to_all(np.int32(found)))
    if failure:
        raise failure
    if found < 0:
        raise _elsewhere(0, -found)
    return found


def together(act: Callable[[], Result]) -> Result:
    """What `act` gives on this process, if it fails on none: where it succeeded, the code is that of the first that failed."""
    if not several():
        return act()
    failure, found = None, None
    try:
        found = act()
    except Exception as error:
        failure = error
    codes = multihost_utils.process_allgather(np.int32(exits.code_of(failure) if failure else 0))
    if failure:
        raise failure
    if np.any(codes):
        first = int(np.flatnonzero(codes)[0])
        raise _elsewhere(first, int(codes[first]))
    return found


def anywhere(flag: bool) -> bool:
    """Whether it is so on any process. Call it on all."""
    if not several():
        return flag
    return bool(np.any(multihost_utils.process_allgather(np.array(flag))))


def _elsewhere(process: int, code: int) -> exits.Ending:
    if code not in exits.FINAL:
        return Fault(f"process {process} could not go on, see what it says")
    error = Refusal(Problem(f"process {process}", None, "refuses to go on", "see what it says"))
    error.code = code
    return error
