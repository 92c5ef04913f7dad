"""python -m mdm.prepare --config=FILE [--output=DIR]: media on disk to a data set of codes.

On a cluster: --runner=DaskRunner --beam=--dask_client_address=tcp://HOST:PORT (or FlinkRunner, SparkRunner, DataflowRunner with
theirs), where every worker has this package and sees the same folders.
"""

import os

from absl import flags, logging

from mdm import command
from mdm.data.engine import Engine
from mdm.data.manifest import SPLITS
from mdm.data.preparation import prepare

_CONFIG = command.config_flag()
_OUTPUT = command.path_flag(
    "output", "Where the data set goes; by default the config's data.directory.", required=False
)
_RUNNER = flags.DEFINE_string("runner", "", "A runner of Apache Beam by name; in this process if it is not given.")
_WORKERS = flags.DEFINE_integer("workers", os.cpu_count(), "How many threads work in this process.", lower_bound=1)
_BEAM = flags.DEFINE_multi_string("beam", [], "An option of Beam or its runner, as --beam=--dask_npartitions=8.")


def main() -> None:
    settings = command.settings(_CONFIG)
    engine = Engine(_RUNNER.value, _WORKERS.value, tuple(_BEAM.value))
    manifest = prepare(settings.prepare, _OUTPUT.value or settings.data.directory, engine)
    for name, stream in manifest.streams.items():
        for split in SPLITS:
            content = ", ".join(f"{count} {modality}" for modality, count in stream.content[split].items())
            logging.info("%s %s: %d documents, %s tokens", name, split, stream.documents(split), content)
    for modality, codec in manifest.codecs.items():
        figures = ", ".join(f"{name} {value:.4g}" for name, value in codec["ceiling"].items())
        logging.info("%s codec %s, on held-out media: %s", modality, codec["kind"], figures)


if __name__ == "__main__":
    command.run(main)
