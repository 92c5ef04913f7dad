"""python -m mdm.evaluate --workdir=DIR [--follow | --all | --step=N]: scores checkpoints, in its own process; only reads the run.

--follow waits for checkpoints until the run has ended (--await_start=SECONDS: an end that is there at once is believed after that
time, if no trainer has gone on with the run), --all takes those that are there; both leave out what was evaluated
before, if it was made with what is asked for now. Results go to DIR/evaluations/, or to --output: one JSON line a result,
TensorBoard events, and table.md. Besides the likelihood of every task: by the chain rule with --orders=N; multiple choice with
--choices=FILE; the tasks of lm-evaluation-harness with --harness=TASK; with evaluation.generated (or --generated=N), media are
made for N documents of each task and split, and what comes of it is measured. How much is evaluated is the run's `evaluation`;
--evaluation.KEY=VALUE changes a setting of it. --report=FILE.html writes a page to look at and to listen to, on which the steps
of the run and, with --against=DIR, other runs are compared. Media are made with the default samplers, or as --samplers says;
--beside shows in the report what other samplers make of the same.
"""

from __future__ import annotations

from absl import flags, logging

from mdm import command, planning, samplers
from mdm.evaluating import Evaluation
from mdm.evaluation import against, pages
from mdm.evaluation.follower import Follower
from mdm.problems import Problem, Refusal, collecting, refuse_if
from mdm.runs.folder import RunFolder

_WORKDIR = command.path_flag("workdir", "The run folder; its checkpoints are only read.")
_FOLLOW = flags.DEFINE_bool("follow", False, "Wait for checkpoints until the run has ended.")
_AWAIT_START = flags.DEFINE_float(
    "await_start", 0.0, "Seconds for which an end that --follow finds at once may be taken back.", lower_bound=0.0
)
_ALL = flags.DEFINE_bool("all", False, "All checkpoints that are there and were not evaluated yet.")
_STEP = flags.DEFINE_integer("step", None, "One checkpoint; by default the newest whole one.")
_plan = planning.plan_flags()
_OUTPUT = command.path_flag("output", "Folder for the results; by default the run's evaluations.", required=False)
_WANDB = flags.DEFINE_string("wandb", None, "Project of Weights & Biases that also gets the figures (extra `wandb`).")
_REPORT = command.path_flag("report", "HTML page to write; it needs the extra `report`.", required=False)
_AGAINST = flags.DEFINE_multi_string(
    "against", [], "Run folder to compare with in the report; may be given several times."
)
_BESIDE = command.path_flag("beside", "As --samplers: the report shows samples of these too.", required=False)
_PIECES = flags.DEFINE_integer("pieces", 6, "Samples of each task and split in the report.", lower_bound=1)


def main() -> None:
    if sum((_FOLLOW.value, _ALL.value, _STEP.value is not None)) > 1:
        raise Refusal(Problem("--follow, --all, --step", None, "more than one is given", "give one"))
    planning.require({name: ("--report=FILE.html", _REPORT.value) for name in ("against", "beside", "pieces")})
    planning.require({"await_start": ("--follow", _FOLLOW.value)})
    if _REPORT.value:
        pages.require(_REPORT.value)
    for other in _AGAINST.value:
        against.read(other, other)  # what cannot be read is told before anything is computed
    beside = samplers.read(_BESIDE.value) if _BESIDE.value else None
    folder = RunFolder(_WORKDIR.value)
    evaluation = Evaluation(folder, _OUTPUT.value or folder.evaluations, _plan(), _WANDB.value)
    follower = Follower(folder, evaluation.evaluate, evaluation.finished, _AWAIT_START.value)
    problems: list[Problem] = []
    step = _STEP.value
    try:
        with collecting(problems):  # what is refused of one step or part costs neither the others nor the report
            if _FOLLOW.value:
                follower.follow()
            elif _ALL.value:
                follower.catch_up()
                follower.finish()
            else:
                step = evaluation.newest() if step is None else step
                evaluation.evaluate(step, again=True)
        if _REPORT.value:
            with collecting(problems):
                evaluation.report(_REPORT.value, _PIECES.value, beside, step, _AGAINST.value)
                logging.info("the report is %s", _REPORT.value)
    finally:
        evaluation.close()
    refuse_if(problems)


if __name__ == "__main__":
    command.run(main)
