"""python -m mdm.study --study=FILE[:ARGUMENT] --workdir=DIR [--jobs=N]: runs what is missing of a study, and writes its page.

A trial that is finished is never run again; one that failed is tried again at the next start. --list shows the trials, --report
only writes the page, --emit=slurm or --emit=gke prints an array job for a cluster (its tasks use --number).
"""

import os
import platform
import shlex
import sys
from collections.abc import Sequence

import jax
from absl import flags, logging

from mdm import checkout, command, studying
from mdm.evaluation import pages
from mdm.launching.hardware import Hardware
from mdm.problems import Problem, Refusal
from mdm.runs.lock import Lock
from mdm.studies import array, file, page, parent, pool
from mdm.studies.folder import StudyFolder
from mdm.studies.plan import Trial, plan
from mdm.studies.search import Searcher
from mdm.studies.study import Study
from mdm.studies.trial import perform
from mdm.studies.work import TRAINING, Work

_STUDY = command.path_flag("study", "A study, e.g. experiments/studies/learning_rate_width.py, or FILE:pod.")
_WORKDIR = command.path_flag("workdir", "Folder of the study: made if it is not there, continued if it is.")
_DATA = command.path_flag("data", "The data set; by default where the base config has it.", required=False)
_RUN = command.path_flag("run", "The trained run, of a study that samples; by default its base's.", required=False)
_JOBS = flags.DEFINE_integer("jobs", None, "Trials at the same time (one; of an array job: all).", lower_bound=1)
_LIST = flags.DEFINE_bool("list", False, "Only show the trials.")
_REPORT = flags.DEFINE_bool("report", False, "Only write the table and the page, of what is finished.")
_EMIT = flags.DEFINE_enum("emit", None, ["slurm", "gke"], "Only print an array job.")
_IMAGE = flags.DEFINE_string("image", None, "Container image, with --emit=gke.")
_HARDWARE = flags.DEFINE_string("hardware", None, "TPU slice of a task, with --emit=gke, e.g. v5p:2x2x1.")
_TRIAL = flags.DEFINE_string("trial", None, "Only run the trial of this id, in this process.")
_NUMBER = flags.DEFINE_integer("number", None, "Only run the trial of this number, in this process.", lower_bound=0)
_ATTACHED = flags.DEFINE_bool("attached", False, "End when standard input does (the local pool holds it open).")


def main() -> None:
    if _ATTACHED.value:
        parent.follow(sys.stdin.fileno())
    study, base = file.load(_STUDY.value)
    work = studying.work(study.work, _DATA.value)
    if _DATA.value and study.work == TRAINING:
        base["data"]["directory"] = _DATA.value
    if _RUN.value:
        base["run"] = _RUN.value
    trials, folder = plan(study, base, work), StudyFolder(_WORKDIR.value)
    if _TRIAL.value is not None or _NUMBER.value is not None:
        _perform(_chosen(study, trials, folder), folder, work, study.probes)
    elif _EMIT.value:
        print(_array(study, trials), end="")
    elif _LIST.value:
        for number, trial in enumerate(trials):
            print(f"{number:4d}  {'finished' if folder.read_result(trial.id) else 'missing '}  {trial}")
    else:
        pages.require()
        folder.create()
        with Lock(folder):
            failures = [] if _REPORT.value else _run(study, trials, folder, work)
            _write(study, trials, folder, work)
        for failure in failures:
            print(f"\n{failure.trial} failed with code {failure.code}:\n{failure.tail}", file=sys.stderr)
        sys.exit(1 if failures else 0)


def _run(study: Study, trials: tuple[Trial, ...], folder: StudyFolder, work: Work) -> list[pool.Failure]:
    failures: list[pool.Failure] = []
    own = [sys.executable, "-m", "mdm.study", *_own_flags(), "--attached"]

    def run(some: tuple[Trial, ...]) -> None:
        write = (lambda: None) if study.search else (lambda: folder.write_table(trials, study.metrics))
        failures.extend(pool.run(some, folder, lambda trial: [*own, f"--trial={trial.id}"], _JOBS.value or 1, write))

    if study.search:
        Searcher(study.search, trials, folder, work).run(run, _JOBS.value or 1)
    else:
        run(trials)
    return failures


def _write(study: Study, trials: tuple[Trial, ...], folder: StudyFolder, work: Work) -> None:
    expected = len(trials)
    if study.search:
        expected *= study.search.trials + 1  # and the start as it is
        trials = Searcher(study.search, trials, folder, work).trials()
    rows = folder.write_table(trials, study.metrics)
    page.write(study, trials, rows, folder, shlex.join(["python", "-m", "mdm.study", *_own_flags()]), expected)
    logging.info("%d of %d trials are finished; the page is %s", len(rows), expected, folder.page)


def _chosen(study: Study, trials: tuple[Trial, ...], folder: StudyFolder) -> Trial:
    if _TRIAL.value is not None:
        own = [trial for trial in trials if trial.id == _TRIAL.value]
        return own[0] if own and not study.search else folder.read_trial(_TRIAL.value)
    if study.search or _NUMBER.value >= len(trials):
        reason = "a search has no numbers" if study.search else f"there are {len(trials)}"
        raise Refusal(Problem("--number", _NUMBER.value, reason, "see --list"))
    return trials[_NUMBER.value]


def _perform(trial: Trial, folder: StudyFolder, work: Work, probes: Sequence[str]) -> None:
    # Programs for a CPU are made for the very processor they were compiled on.
    host = platform.node() if jax.default_backend() == "cpu" else ""
    jax.config.update("jax_compilation_cache_dir", os.fspath(folder.compilations / host))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
    perform(trial, folder, work, checkout.commit(), probes)


def _array(study: Study, trials: tuple[Trial, ...]) -> str:
    own, at_once = ["python", "-m", "mdm.study", *_own_flags()], _JOBS.value or len(trials)
    if study.search:
        raise Refusal(Problem("--emit", _EMIT.value, "a search asks for trials as it goes", "run it with --jobs"))
    if _EMIT.value == "slurm":
        return array.slurm(study.title, own, len(trials), at_once)
    if not _IMAGE.value:
        raise Refusal(Problem("--image", None, "is not given", "name the container image of the tasks"))
    hardware = Hardware.of(_HARDWARE.value, "--hardware") if _HARDWARE.value else None
    return array.gke(study.title, own, len(trials), at_once, _IMAGE.value, hardware)


def _own_flags() -> list[str]:
    given = [f"--{flag}={value}" for flag, value in (("data", _DATA.value), ("run", _RUN.value)) if value]
    return [f"--study={_STUDY.value}", f"--workdir={_WORKDIR.value}", *given]


if __name__ == "__main__":
    command.run(main)
