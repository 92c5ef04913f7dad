"""The engine that preparation runs on: Apache Beam, in this process or on a cluster.

A pipeline here is a list of functions over small elements (numbers of pieces, indices of documents); what is large stays in
files of the output folder, which every worker must see. So any runner that can create, map and group will do.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import importlib.util
import threading
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Any

from absl import logging

from mdm.problems import Problem, Refusal

IN_PROCESS = "FnApiRunner"
_UNLISTED = {"DaskRunner": "apache_beam.runners.dask.dask_runner.DaskRunner"}  # that Beam knows only by its full name
_REPORT_SECONDS = 15.0


@dataclasses.dataclass(frozen=True)
class Engine:
    """runner: a Beam runner by name ("DaskRunner", "FlinkRunner", "DataflowRunner" ...), in process if empty; workers: threads of
    the runner in process (others have options of their own); options: of Beam and the runner, as on a command line."""

    runner: str = ""
    workers: int = 1
    options: tuple[str, ...] = ()

    def run(
        self,
        elements: Iterable[Any],
        *stages: Callable[[Any], Iterable[Any] | None],
        progress: Callable[[], str] | None = None,
    ) -> None:
        """Every stage but the last gives (key, value) pairs for an element; the next is called with (key, all of its values).

        Stages and keys must be what can be pickled and whole numbers. What the last one gives is dropped: results are files.
        progress: says, now and then, how far it is.
        """
        elements = list(elements)
        if not elements:
            return
        beam = _library()
        options = importlib.import_module("apache_beam.options.pipeline_options").PipelineOptions(self._flags())
        with _reporting(progress), beam.Pipeline(options=options) as pipeline:
            values = pipeline | "elements" >> beam.Create(elements)
            for number, stage in enumerate(stages):
                if number:
                    values = values | f"group {number}" >> beam.GroupByKey()
                values = values | f"stage {number}" >> beam.FlatMap(_Stage(stage))
        client = getattr(pipeline.result, "client", None)
        if client is not None:  # Dask's runner leaves it open, and it goes on looking for a cluster that may be gone
            client.close()

    @property
    def available(self) -> bool:
        """Whether Beam is installed."""
        return importlib.util.find_spec("apache_beam") is not None

    def check(self) -> None:
        """Raises Refusal, naming the extra, where Beam is not installed."""
        _library()

    def _flags(self) -> list[str]:
        # Stages are typed by their callers; Beam's inference from annotations adds nothing but ways to fail.
        runner = self.runner or IN_PROCESS
        runner = _UNLISTED[runner] if runner in _UNLISTED else runner
        flags = [f"--runner={runner}", "--no_pipeline_type_check", *self.options]
        given = {option.split("=")[0] for option in self.options}
        if not self.runner and self.workers > 1 and "--direct_running_mode" not in given:
            flags += [f"--direct_num_workers={self.workers}", "--direct_running_mode=multi_threading"]
        return flags


def _library() -> ModuleType:
    """Apache Beam. Raises Refusal, naming the extra, where it is not installed."""
    try:
        return importlib.import_module("apache_beam")
    except ImportError as error:
        remedy = "pip install 'mdm[beam]'"
        raise Refusal(Problem("preparation", None, f"apache_beam cannot be imported ({error})", remedy)) from error


@dataclasses.dataclass(frozen=True)
class _Stage:
    """A function as Beam calls it. Its annotations stay out of sight."""

    function: Callable[[Any], Iterable[Any] | None]

    def __call__(self, element):
        return self.function(element) or ()


@contextlib.contextmanager
def _reporting(progress: Callable[[], str] | None) -> Iterator[None]:
    stop = threading.Event()

    def report() -> None:
        while not stop.wait(_REPORT_SECONDS):
            logging.info("%s", progress())

    thread = threading.Thread(target=report, daemon=True)
    if progress is not None:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        if progress is not None:
            thread.join()
