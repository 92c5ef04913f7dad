"""A pretraining run in its folder: what `mdm.train` does, and every trial of a study."""

from __future__ import annotations

import contextlib
import os

import jax

from mdm.config import Settings, to_dict
from mdm.data.manifest import load
from mdm.data.spans import span_lengths
from mdm.runs.folder import RunFolder
from mdm.runs.lock import Lock
from mdm.training.loop import train


def pretrain(settings: Settings, folder: RunFolder) -> None:
    """Pretrains, or continues, one model, with all that is needed to generate from it later.

    Raises Refusal for data or devices that do not fit, or if another job writes there; Diverged as `mdm.training.loop.train`.
    """
    manifest = load(settings.data.directory)
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
