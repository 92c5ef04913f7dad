"""python -m mdm.prepare --config=FILE [--output=DIR]: media on disk to a data set of codes, packed into the config's rows.

On a cluster: --runner=DaskRunner --beam=--dask_client_address=tcp://HOST:PORT (or FlinkRunner, SparkRunner, DataflowRunner with
theirs), where every worker has this package and sees the same folders.

python -m mdm.prepare --inspect=DIR [--config=FILE] [--output=PAGE]: one HTML page of what is in a data set, as a model sees it;
with the config of a run also how its rows are laid out.

python -m mdm.prepare --verify=DIR: whether every shard, length and codec is what was prepared; what is not is named, code 2.
"""

import os
from pathlib import Path

from absl import flags, logging

from mdm import atomic, command
from mdm.data import manifest as manifests
from mdm.data.engine import Engine
from mdm.data.pipeline import Rows
from mdm.data.verification import verify
from mdm.evaluation import inspection
from mdm.preparing import prepared
from mdm.problems import refuse_if

_CONFIG = command.config_flag()
_OUTPUT = command.path_flag(
    "output", "Where the data set goes (by default the config's data.directory), or the page.", required=False
)
_RUNNER = flags.DEFINE_string("runner", "", "A runner of Apache Beam by name; in this process if it is not given.")
_WORKERS = flags.DEFINE_integer("workers", os.cpu_count(), "How many threads work in this process.", lower_bound=1)
_BEAM = flags.DEFINE_multi_string("beam", [], "An option of Beam or its runner, as --beam=--dask_npartitions=8.")
_INSPECT = command.path_flag("inspect", "A data set to look at, instead of making one.", required=False)
_VERIFY = command.path_flag("verify", "A data set to compare, byte for byte, with its manifest.", required=False)
_SHOWN = flags.DEFINE_integer(
    "documents", 12, "With --inspect: documents of a stream and split that are shown.", lower_bound=0
)
_READ = flags.DEFINE_integer(
    "read", 20_000, "With --inspect: documents of a stream whose codes are counted.", lower_bound=1
)


def main() -> None:
    if _VERIFY.value:
        refuse_if(manifests.mounted(_VERIFY.value, "--verify"))
        verify(_VERIFY.value, _WORKERS.value)
        logging.info("%s is what was prepared", _VERIFY.value)
        return
    if _INSPECT.value:
        output = manifests.mounted(_OUTPUT.value or "", "--output")
        refuse_if([*manifests.mounted(_INSPECT.value, "--inspect"), *output])
        _inspect(Path(_INSPECT.value))
        return
    settings = command.settings(_CONFIG)
    engine = Engine(_RUNNER.value, _WORKERS.value, tuple(_BEAM.value))
    prepared(settings, _OUTPUT.value or settings.data.directory, engine)


def _inspect(directory: Path) -> None:
    manifest, rows = manifests.load(directory), None
    if _CONFIG.value is not None:
        job = command.settings(_CONFIG).job
        rows = Rows(job.data, job.corruption.views, manifest)
    page = Path(_OUTPUT.value or directory / "inspection.html")
    atomic.write_text(page, inspection.render(manifest, rows, _SHOWN.value, _READ.value))
    logging.info("the page is %s", page)


if __name__ == "__main__":
    command.run(main)
