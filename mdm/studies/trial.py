"""One trial: its work is done once, and its figures are written.

A run whose loss is not finite has a result, like any other: that it diverged.
"""

from __future__ import annotations

from collections.abc import Sequence

from absl import logging

from mdm.evaluation.result import device, versions
from mdm.studies.folder import StudyFolder
from mdm.studies.plan import Trial
from mdm.studies.work import Work


def perform(trial: Trial, folder: StudyFolder, work: Work, commit: str, probes: Sequence[str] = ()) -> None:
    """Runs a trial that is not finished, from where an earlier start of it was stopped.

    Raises what its work raises. commit: of the code, for the result; probes: of the study.
    """
    if folder.read_result(trial.id) is not None:
        logging.info("%s is finished", trial)
        return
    folder.write_trial(trial)
    outcome = work.perform(work.resolve(trial.config), folder.run_folder(trial.id), probes)
    if outcome.reason:
        logging.warning("%s diverged: %s", trial, outcome.reason)
    folder.write_result(trial.id, {
        "metrics": dict(outcome.metrics), "diverged": bool(outcome.reason), "reason": outcome.reason,
        "data": list(outcome.data), "versions": versions(), "device": device(), "commit": commit,
    })  # fmt: skip
