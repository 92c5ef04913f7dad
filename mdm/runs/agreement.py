"""What process 0 finds out alone, for all processes of a job."""

from __future__ import annotations

from collections.abc import Callable

import jax
import numpy as np
from jax.experimental import multihost_utils

from mdm.problems import Problem, Refusal


def leads() -> bool:
    """Whether this is the process that writes for all of them."""
    return jax.process_index() == 0


def led(act: Callable[[], int]) -> int:
    """The number >= 0 that `act` gives on process 0. What is refused there is refused everywhere, with the same code: a
    process that waited for one that is gone would end with another, and be started again."""
    if jax.process_count() == 1:
        return act()
    refusal, found = None, 0
    if leads():
        try:
            found = act()
        except Refusal as error:
            refusal, found = error, -error.code
    found = int(multihost_utils.broadcast_one_to_all(np.int32(found)))
    if refusal:
        raise refusal
    if found < 0:
        error = Refusal(Problem("process 0", None, "refuses to start", "see what it says"))
        error.code = -found
        raise error
    return found


def anywhere(flag: bool) -> bool:
    """Whether it is so on any process. Call it on all."""
    if jax.process_count() == 1:
        return flag
    return bool(np.any(multihost_utils.process_allgather(np.array(flag))))
