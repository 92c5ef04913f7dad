"""How a process of ours ends: the exit codes that launchers and schedulers act on."""

from __future__ import annotations

FAULT = 1  # of the program, or of what it stands on; Python's own code for an exception that nobody caught
REFUSED = 2  # input that cannot be used
DIVERGED = 3  # loss or gradient not finite too often in a row
STUCK = 4  # started again and again without a step of progress
HUNG = 70  # a watchdog ended a process that stood still (EX_SOFTWARE)
PREEMPTED = 75  # asked to go: state is saved, the next start goes on (EX_TEMPFAIL)

FINAL = (REFUSED, DIVERGED, STUCK)  # starting again would end the same way; after any other code it may help
AGAIN = (FAULT, HUNG, PREEMPTED)  # what may help, beside signals (128 and their number)


class Ending(Exception):
    """An exception that knows with which code a binary ends that nobody saved from it."""

    code = FAULT


def code_of(error: Exception) -> int:
    """The exit code of a binary that ends with `error`. (Clients of object stores have a `code` too: of HTTP.)"""
    return error.code if isinstance(error, Ending) else FAULT
