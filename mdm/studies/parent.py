"""The pool, as a trial sees it."""

from __future__ import annotations

import os
import threading


def follow(descriptor: int) -> None:
    """Ends this process when the other end of a pipe, the pool's, is closed: the pool is gone, also if it was killed.

    Otherwise the next start of the study would meet a trial that still writes.
    """

    def wait() -> None:
        while os.read(
            descriptor, 1
        ):  # not through sys.stdin: its lock, held by a thread, aborts the end of the process
            pass
        os._exit(1)  # from a thread, and without the writes of a regular end: a trial may be stopped at any instant

    threading.Thread(target=wait, name="follow-parent", daemon=True).start()
