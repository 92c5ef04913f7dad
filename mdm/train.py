"""python -m mdm.train --config=FILE --workdir=DIR: pretrains, or continues, one model.

On several hosts, start it on each with --distributed (or with --coordinator, --processes and --process).
"""

import contextlib
import os

import jax

from mdm import command
from mdm.config import to_dict
from mdm.data.manifest import load
from mdm.data.spans import span_lengths
from mdm.runs.folder import RunFolder
from mdm.runs.lock import Lock
from mdm.training.loop import train

_CONFIG = command.config_flag()
_WORKDIR = command.path_flag("workdir", "The run folder: made if it is not there, continued if it is.")
_join = command.distributed_flags()


def main() -> None:
    settings = command.settings(_CONFIG)
    _join()
    manifest = load(settings.data.directory)
    folder = RunFolder(_WORKDIR.value)
    leads = jax.process_index() == 0
    if leads:
        folder.create()
    with Lock(folder) if leads else contextlib.nullcontext():
        if leads:
            folder.write_json(folder.config, to_dict(settings))
            folder.write_json(folder.vocabulary, manifest.vocabulary.to_json())
            folder.copy_codecs(manifest.directory / "codecs")
            tasks = {name: tuple(stream.tasks) for name, stream in settings.data.streams.items()}
            folder.write_json(folder.spans, to_dict(span_lengths(manifest, tasks)))
        if jax.default_backend() != "cpu" and jax.config.jax_compilation_cache_dir is None:
            # A restart need not compile again. Not on CPU: such programs are made for the very processor they were compiled on.
            jax.config.update("jax_compilation_cache_dir", os.fspath(folder.compilations))
        train(settings.job, folder)


if __name__ == "__main__":
    command.run(main)
