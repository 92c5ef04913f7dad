"""What must be equal in the logs of two runs that are one."""

from mdm.runs import log
from mdm.runs.folder import RunFolder

TIMES = (
    "tokens_per_second", "model_flops_per_second", "input_wait_share", "save_share", "log_share", "seconds",
)  # fmt: skip
HOST = ("host_memory_gib", "memory_free_gib", "disk_free_gib")
GOODPUT = tuple(
    f"goodput/{what}"
    for what in ("step", "redone", "downtime", "other", "restore", "compile", "input_wait", "save", "log")
)
_OF_THE_MACHINE = {*TIMES, *HOST, *GOODPUT}


def curve(folder: RunFolder) -> list[dict[str, float]]:
    """Every figure of every line that is not of the machine."""
    return [{k: v for k, v in line.items() if k not in _OF_THE_MACHINE} for line in log.read(folder)]
