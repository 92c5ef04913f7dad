"""python -m mdm.evaluate --workdir=DIR [--follow | --all | --step=N]: scores checkpoints, in its own process; only reads the run.

--follow waits for checkpoints until the run has ended, --all takes those that are there; both leave out what was evaluated
before. Results go to DIR/evaluations/, or to --output: one JSON line a result, TensorBoard events, and table.md. Besides the
likelihood of every task: by the chain rule with --orders=N; multiple choice with --choices=FILE; the tasks of
lm-evaluation-harness with --harness=TASK; with evaluation.generated (or --generated=N), media are made for N documents of each
task and split, and what comes of it is measured. --report=FILE.html writes a page to look at and to listen to. Media are made
with the default samplers, or as --samplers says; --beside shows in the report what other samplers make of the same.
"""

from __future__ import annotations

from absl import flags, logging

from mdm import command, samplers
from mdm.diffusion.chain_rule import ORDERS
from mdm.evaluating import Evaluation, Plan
from mdm.evaluation import against, pages
from mdm.evaluation.continuations import METHODS, TextScoring
from mdm.evaluation.follower import Follower
from mdm.evaluation.harness import HarnessSettings
from mdm.evaluation.ordered import OrderSettings
from mdm.problems import Problem, Refusal, collecting, refuse_if
from mdm.runs.checkpoint import PARAMETERS
from mdm.runs.folder import RunFolder
from mdm.sampling.defaults import DEFAULTS

_WORKDIR = command.path_flag("workdir", "The run folder; its checkpoints are only read.")
_FOLLOW = flags.DEFINE_bool("follow", False, "Wait for checkpoints until the run has ended.")
_ALL = flags.DEFINE_bool("all", False, "All checkpoints that are there and were not evaluated yet.")
_STEP = flags.DEFINE_integer("step", None, "One checkpoint; by default the newest whole one.")
_WEIGHTS = flags.DEFINE_enum("weights", "ema", PARAMETERS, "Which parameters.")
_ATTENTION = flags.DEFINE_string("attention", None, "Kernel; by default the run's where it runs here, else blockwise.")
_DATA = command.path_flag("data", "The data set; by default where the run found it.", required=False)
_OUTPUT = command.path_flag("output", "Folder for the results; by default the run's evaluations.", required=False)
_WANDB = flags.DEFINE_string("wandb", None, "Project of Weights & Biases that also gets the figures (extra `wandb`).")
_REPORT = command.path_flag("report", "HTML page to write; it needs the extra `report`.", required=False)
_GENERATED = flags.DEFINE_integer("generated", None, "Instead of the run's evaluation.generated.", lower_bound=0)
_SAMPLERS = command.path_flag(
    "samplers", "JSON file {task: {setting: value}} of changes to the default samplers.", required=False
)
_BESIDE = command.path_flag("beside", "Another such file: the report shows its samples too.", required=False)
_LANGUAGE_MODEL = command.path_flag(
    "language_model", "Folder of a Hugging Face causal language model: perplexity of what is written.", required=False
)
_AGAINST = flags.DEFINE_multi_string("against", [], "Run folder to compare with in the report; may be given several times.")
_PIECES = flags.DEFINE_integer("pieces", 6, "Samples of each task and split in the report.", lower_bound=1)
_ORDERS = flags.DEFINE_integer("orders", 0, "Orders of the chain rule for each document; 0: none.", lower_bound=0)
_ORDER = flags.DEFINE_enum("order", "random", tuple(ORDERS), "Of the chain rule.")
_ORDER_DOCUMENTS = flags.DEFINE_integer("order_documents", 16, "Documents of each task and split.", lower_bound=1)
_CHOICES = flags.DEFINE_multi_string("choices", [], "File of multiple choice, JSON lines; may be given several times.")
_HARNESS = flags.DEFINE_list("harness", [], "Tasks of lm-evaluation-harness (extra `lm-eval`), by name.")
_HARNESS_TASKS = flags.DEFINE_string("harness_tasks", None, "Folder of local task files of the harness.")
_SCORING = flags.DEFINE_enum("scoring", "elbo", METHODS, "How the texts of --choices and --harness are scored.")
_SAMPLES = flags.DEFINE_integer("scoring_samples", 32, "Mask counts of the ELBO for such a text.", lower_bound=1)


def main() -> None:
    if sum((_FOLLOW.value, _ALL.value, _STEP.value is not None)) > 1:
        raise Refusal(Problem("--follow, --all, --step", None, "more than one is given", "give one"))
    if _REPORT.value:
        pages.require(_REPORT.value)
    for other in _AGAINST.value:
        against.read(other)  # what cannot be read is told before anything is computed
    plan = Plan(
        weights=_WEIGHTS.value,
        attention=_ATTENTION.value,
        data=_DATA.value,
        generated=_GENERATED.value,
        samplers=samplers.read(_SAMPLERS.value) if _SAMPLERS.value else DEFAULTS,
        language_model=_LANGUAGE_MODEL.value,
        orders=OrderSettings(_ORDER.value, _ORDERS.value, _ORDER_DOCUMENTS.value),
        choices=tuple(_CHOICES.value),
        harness=HarnessSettings(tuple(_HARNESS.value), _HARNESS_TASKS.value),
        scoring=TextScoring(_SCORING.value, _SAMPLES.value),
    )
    beside = samplers.read(_BESIDE.value) if _BESIDE.value else None
    folder = RunFolder(_WORKDIR.value)
    evaluation = Evaluation(folder, _OUTPUT.value or folder.evaluations, plan, _WANDB.value)
    follower = Follower(folder, evaluation.evaluate, evaluation.finished)
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
