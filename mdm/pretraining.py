"""A pretraining run in its folder: what `mdm.train` does, and every trial of a study."""

from __future__ import annotations

import functools
import os
import shlex
import sys

import jax

from mdm.codecs.storage import DESCRIPTION
from mdm.config import Settings, to_dict
from mdm.data.manifest import Manifest, load
from mdm.data.spans import span_lengths
from mdm.problems import Refusal, room
from mdm.runs import agreement, starts
from mdm.runs.folder import RunFolder
from mdm.runs.making import made
from mdm.runs.preemption import Preemption
from mdm.runs.text_log import TextLog
from mdm.training.around import Around
from mdm.training.loop import train
from mdm.training.watchdog import Watchdog

_DECIDE = ("XLA_FLAGS", "LIBTPU_INIT_ARGS", "JAX_PLATFORMS")  # variables; no others are kept, for they may hold secrets


def pretrain(settings: Settings, folder: RunFolder) -> None:
    """Pretrains, or continues, one model, with all that is needed to generate from it later.

    Raises Refusal for data or devices that do not fit, or if another job writes there; Stuck as `mdm.runs.starts.begin`,
    Diverged and Preempted as `mdm.training.loop.train`; Fault for a disk without room for what a start must write.
    """
    guards = settings.guards
    with Watchdog(guards, folder) as watchdog:
        manifest, failure = _opened(settings)
        with (
            Preemption() as preemption,
            starts.begin(folder, guards.starts, watchdog.numbered) as starting,
            room(),
            TextLog(starting.folder / f"log-{agreement.process()}.txt"),
        ):
            if failure:
                raise failure
            _run(settings, folder, manifest, starting, preemption, watchdog)


def _opened(settings: Settings) -> tuple[Manifest | None, Exception | None]:
    """The data, once there are devices. What is refused leaves no run folder behind; what fails is handed back, for it counts as
    a start: a chip that is gone is gone for the next hundred starts too."""
    try:
        jax.devices()
        return load(settings.data.directory), None
    except Refusal:
        raise
    except Exception as error:
        return None, error


def _run(
    settings: Settings,
    folder: RunFolder,
    manifest: Manifest,
    starting: starts.Starting,
    preemption: Preemption,
    watchdog: Watchdog,
) -> None:
    if agreement.leads():
        environment = {name: os.environ[name] for name in _DECIDE if name in os.environ}
        starting.write_made(made(shlex.join(sys.orig_argv), environment))
    if jax.default_backend() != "cpu" and jax.config.jax_compilation_cache_dir is None:
        # A restart need not compile again. Not on CPU: such programs are made for the very processor they were compiled on.
        jax.config.update("jax_compilation_cache_dir", os.fspath(folder.compilations))
    accepted = functools.partial(_write_what_it_is, settings, folder, manifest)
    train(settings.job, folder, starting, Around(preemption.reached, accepted, watchdog))


def _write_what_it_is(settings: Settings, folder: RunFolder, manifest: Manifest) -> None:
    """What evaluators, samplers and forks read. Not before the run has taken these settings: what is refused leaves it whole."""
    folder.write_json(folder.config, to_dict(settings))
    folder.write_json(folder.vocabulary, manifest.vocabulary.to_json())
    folder.copy_codecs(manifest.directory / "codecs", last=DESCRIPTION)
    tasks = {name: tuple(stream.tasks) for name, stream in settings.data.streams.items()}
    folder.write_json(folder.spans, to_dict(span_lengths(manifest, tasks)))
