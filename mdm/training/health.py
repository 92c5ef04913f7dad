"""The health of a run: looks at what each step reports, one step late, so that the device never waits for the host."""

from __future__ import annotations

from absl import logging

from mdm import exits
from mdm.problems import Problem, Refusal
from mdm.training.spikes import Spikes
from mdm.training.step import Report


class Diverged(Refusal):
    """Raised when too many updates in a row were not finite; names the rows."""

    code = exits.DIVERGED


class Health:
    """batch_size: rows a step; most_skipped: updates in a row that may be not finite; spike: see `Spikes`."""

    def __init__(self, batch_size: int, most_skipped: int, spike: float):
        self._batch_size, self._most_skipped = batch_size, most_skipped
        self._spikes = Spikes(spike)

    def look(self, row: int, report: Report) -> None:
        """`report` is of the step that ended before run row `row`. Tells rows whose update was skipped and rows of a spike;
        raises Diverged after too many skipped ones."""
        skipped, loss = int(report.skipped_in_a_row), float(report.loss)
        first, last = row - self._batch_size, row - 1
        if not skipped:
            if above := self._spikes.look(loss):
                logging.warning(
                    "LOSS SPIKE in rows %d to %d: %.4f, %.1f deviations above the mean", first, last, loss, above
                )
            return
        logging.error(
            "NOT FINITE: rows %d to %d gave loss %s or its gradient, the update is skipped", first, last, loss
        )
        if skipped >= self._most_skipped:
            raise Diverged(
                Problem(
                    f"rows {row - skipped * self._batch_size} to {last}",
                    loss,
                    f"{skipped} updates in a row were not finite",
                    "look at these rows, lower optimizer.learning_rate, or raise training.most_skipped",
                )
            )
