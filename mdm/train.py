"""python -m mdm.train --config=FILE --workdir=DIR: pretrains, or continues, one model.

On several hosts, start it on each with --distributed (or with --coordinator, --processes and --process). With --describe it only
tells all about the run in --workdir: where it stands, its starts, where the time went, and what it was made with.
"""

from absl import flags

from mdm import command
from mdm.pretraining import pretrain
from mdm.runs.description import describe
from mdm.runs.folder import RunFolder

_CONFIG = command.config_flag()
_WORKDIR = command.path_flag("workdir", "The run folder: made if it is not there, continued if it is.")
_DESCRIBE = flags.DEFINE_bool("describe", False, "Only tell about the run; needs no --config.")
_join = command.distributed_flags()


def main() -> None:
    folder = RunFolder(_WORKDIR.value)
    if _DESCRIBE.value:
        print(describe(folder))
        return
    settings = command.settings(_CONFIG)
    _join()
    pretrain(settings, folder)


if __name__ == "__main__":
    command.run(main)
