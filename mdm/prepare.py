"""python -m mdm.prepare --config=FILE [--output=DIR]: media on disk to a data set of codes."""

from absl import logging

from mdm import command
from mdm.data.manifest import SPLITS
from mdm.data.preparation import prepare

_CONFIG = command.config_flag()
_OUTPUT = command.path_flag(
    "output", "Where the data set goes; by default the config's data.directory.", required=False
)


def main() -> None:
    settings = command.settings(_CONFIG)
    manifest = prepare(settings.prepare, _OUTPUT.value or settings.data.directory)
    for name, stream in manifest.streams.items():
        for split in SPLITS:
            content = ", ".join(f"{count} {modality}" for modality, count in stream.content[split].items())
            logging.info("%s %s: %d documents, %s tokens", name, split, stream.documents(split), content)
    for modality, codec in manifest.codecs.items():
        figures = ", ".join(f"{name} {value:.4g}" for name, value in codec["ceiling"].items())
        logging.info("%s codec %s, on held-out media: %s", modality, codec["kind"], figures)


if __name__ == "__main__":
    command.run(main)
