"""What every binary does before and after its work: flags, log, refusals without a traceback."""

from __future__ import annotations

import logging as logging_
import sys
import sysconfig
import traceback
from collections.abc import Callable
from pathlib import Path

import jax
from absl import app, flags, logging
from ml_collections import config_flags

from mdm import config
from mdm.exits import REFUSED, Ending
from mdm.problems import Problem, Refusal


def config_flag() -> flags.FlagHolder:
    """--config=FILE, with overrides as --config.model.width=256."""
    return config_flags.DEFINE_config_file(
        "config", None, "An experiment, e.g. experiments/smoke.py.", lock_config=True
    )


def distributed_flags() -> Callable[[], None]:
    """--distributed, or --coordinator with --processes and --process. The result makes this process one of the job's: call it
    before anything asks for devices."""
    cluster = flags.DEFINE_bool(
        "distributed", False, "One of several processes; the cluster (TPU pod, GKE, SLURM) knows which."
    )
    coordinator = flags.DEFINE_string("coordinator", None, "HOST:PORT of process 0, where no cluster knows it.")
    processes = flags.DEFINE_integer("processes", 1, "How many there are, with --coordinator.", lower_bound=1)
    process = flags.DEFINE_integer("process", 0, "Which of them this is, with --coordinator.", lower_bound=0)

    def join() -> None:
        if coordinator.value is not None:
            if process.value >= processes.value:
                raise Refusal(Problem("--process", process.value, f"there are {processes.value}", "count from 0"))
            jax.distributed.initialize(coordinator.value, processes.value, process.value)
        elif processes.value > 1:
            raise Refusal(Problem("--coordinator", None, "is not given", "name the HOST:PORT of process 0"))
        elif cluster.value:
            jax.distributed.initialize()

    return join


def path_flag(name: str, meaning: str, *, required: bool = True) -> flags.FlagHolder:
    return flags.DEFINE_string(name, None, meaning, required=required)


def settings(holder: flags.FlagHolder) -> config.Settings:
    """The resolved settings of --config. Raises Refusal with everything that is wrong."""
    if holder.value is None:
        raise Refusal(
            Problem("--config", None, "is not given", "name an experiment, e.g. --config=experiments/smoke.py")
        )
    try:
        value = holder.value.to_dict()
    except OSError as error:  # a file that is not there or cannot be run is told when it is first used
        raise Refusal(Problem("--config", None, _told(error), "check the path")) from error
    except AttributeError as error:
        found = type(holder.value).__name__
        raise Refusal(
            Problem("--config", found, "is not what get_config() must give", "return a ConfigDict")
        ) from error
    return config.resolve(value)


def run(main: Callable[[], None]) -> None:
    """Runs `main` with flags parsed; input that cannot be used ends the process with a list of what is wrong and the code of the
    exception; see `mdm.exits`."""

    def guarded(arguments: list[str]) -> None:
        if len(arguments) > 1:
            _end(f"unexpected arguments {arguments[1:]}; flags begin with --")
        logging.set_verbosity(logging.INFO)
        logging.get_absl_handler().addFilter(_own_or_grave)
        try:
            main()
        except Ending as ending:
            _end(str(ending), ending.code)

    app.run(guarded, flags_parser=_parse)


def _own_or_grave(record: logging_.LogRecord) -> bool:
    """Orbax tells 60 lines a checkpoint through the same logger: of other packages only warnings are shown."""
    return record.levelno > logging_.INFO or "site-packages" not in Path(record.pathname).parts


def _parse(arguments: list[str]) -> list[str]:
    try:
        return flags.FLAGS(arguments)
    except Exception as error:
        # ml_collections runs the config, and takes overrides, within the parser: both may raise anything.
        _end(_told(error))


def _told(error: Exception) -> str:
    """What is wrong with flags, or with the config as a program: then with file and line."""
    first = error
    while (before := first.__cause__ or first.__context__) is not None:
        first = before
    lines = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(first.__traceback__)]
    if isinstance(first, SyntaxError) and first.filename:
        lines.append((first.filename, first.lineno))
    own = [f"{file}:{line}" for file, line in lines if not file.startswith("<") and not _is_ours(Path(file))]
    return f"{own[-1]}: {type(first).__name__}: {first}" if own else str(error).strip('"')


def _is_ours(file: Path) -> bool:
    """Whether it is of Python, of a package or of this one: no config."""
    folders = (Path(__file__).parent, Path(sysconfig.get_path("stdlib")))
    return "site-packages" in file.parts or any(file.is_relative_to(folder) for folder in folders)


def _end(message: str, code: int = REFUSED) -> None:
    print(f"{Path(sys.argv[0]).stem}: {message}", file=sys.stderr)
    sys.exit(code)
