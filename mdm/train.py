"""python -m mdm.train --config=FILE --workdir=DIR: pretrains, or continues, one model.

On several hosts, start it on each with --distributed (or with --coordinator, --processes and --process).
"""

from mdm import command
from mdm.pretraining import pretrain
from mdm.runs.folder import RunFolder

_CONFIG = command.config_flag()
_WORKDIR = command.path_flag("workdir", "The run folder: made if it is not there, continued if it is.")
_join = command.distributed_flags()


def main() -> None:
    settings = command.settings(_CONFIG)
    _join()
    pretrain(settings, RunFolder(_WORKDIR.value))


if __name__ == "__main__":
    command.run(main)
