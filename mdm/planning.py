"""The flags that say what is evaluated of a checkpoint."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

from absl import flags

from mdm import command, samplers
from mdm.diffusion.chain_rule import ORDERS
from mdm.evaluation.continuations import METHODS, TextScoring
from mdm.evaluation.harness import HarnessSettings
from mdm.evaluation.ordered import OrderSettings
from mdm.evaluation.plan import Plan
from mdm.evaluation.settings import EvaluationSettings
from mdm.problems import Problem, refuse_if
from mdm.runs.checkpoint import PARAMETERS
from mdm.sampling.defaults import DEFAULTS


def plan_flags() -> Callable[[], Plan]:
    """Defines them. The result raises Refusal for flags that do nothing without another one."""
    weights = flags.DEFINE_enum("weights", "ema", PARAMETERS, "Which parameters.")
    attention = flags.DEFINE_string(
        "attention", None, "Kernel; by default the run's where it runs here, else blockwise."
    )
    data = command.path_flag("data", "The data set; by default where the run found it.", required=False)
    evaluation = _evaluation_flags()
    generated = flags.DEFINE_integer("generated", None, "Instead of the run's evaluation.generated.", lower_bound=0)
    table = command.path_flag(
        "samplers", "JSON file {task: {setting: value}} of changes to the default samplers.", required=False
    )
    language_model = command.path_flag(
        "language_model",
        "Folder of a Hugging Face causal language model: perplexity of what is written.",
        required=False,
    )
    orders = flags.DEFINE_integer("orders", 0, "Orders of the chain rule for each document; 0: none.", lower_bound=0)
    order = flags.DEFINE_enum("order", "random", tuple(ORDERS), "Of the chain rule.")
    documents = flags.DEFINE_integer("order_documents", 16, "Documents of each task and split.", lower_bound=1)
    choices = flags.DEFINE_multi_string(
        "choices", [], "File of multiple choice, JSON lines; may be given several times."
    )
    tasks = flags.DEFINE_list("harness", [], "Tasks of lm-evaluation-harness (extra `lm-eval`), by name.")
    folder = flags.DEFINE_string("harness_tasks", None, "Folder of local task files of the harness.")
    scoring = flags.DEFINE_enum("scoring", "elbo", METHODS, "How the texts of --choices and --harness are scored.")
    samples = flags.DEFINE_integer("scoring_samples", 32, "Mask counts of the ELBO for such a text.", lower_bound=1)
    repeats = flags.DEFINE_integer(
        "scoring_repeats", None, "Times that a text is scored with other noise or orders.", lower_bound=1
    )

    def plan() -> Plan:
        texts = "--choices=FILE or --harness=TASK", choices.value or tasks.value
        require({
            "order": ("--orders=N", orders.value), "order_documents": ("--orders=N", orders.value),
            "harness_tasks": ("--harness=TASK", tasks.value), "scoring": texts, "scoring_samples": texts,
            "scoring_repeats": texts,
        })  # fmt: skip
        changes = {name: flag.value for name, flag in evaluation.items() if flag.value is not None}
        texts_too = {"batch_rows": changes["batch_rows"]} if "batch_rows" in changes else {}
        if repeats.value is not None:
            texts_too["repeats"] = repeats.value
        if generated.value is not None:
            changes["generated"] = generated.value
        return Plan(
            weights=weights.value,
            attention=attention.value,
            data=data.value,
            evaluation=changes,
            samplers=samplers.read(table.value) if table.value else DEFAULTS,
            language_model=language_model.value,
            orders=OrderSettings(order.value, orders.value, documents.value),
            choices=tuple(choices.value),
            harness=HarnessSettings(tuple(tasks.value), folder.value),
            scoring=dataclasses.replace(TextScoring(scoring.value, samples.value), **texts_too),
        )

    return plan


def _evaluation_flags() -> dict[str, flags.FlagHolder]:
    """--evaluation.KEY for every setting but `generated`, which has a flag of its own."""
    found = {}
    for field in dataclasses.fields(EvaluationSettings):
        if field.name != "generated":
            define = flags.DEFINE_list if isinstance(field.default, tuple) else flags.DEFINE_integer
            found[field.name] = define(
                f"evaluation.{field.name}", None, f"Instead of the run's evaluation.{field.name}."
            )
    return found


def require(partners: Mapping[str, tuple[str, object]]) -> None:
    """Raises Refusal for flags that were given and do nothing: name -> (what it goes with, whether that was given)."""
    refuse_if(
        Problem(f"--{name}", flags.FLAGS[name].value, f"does nothing without {partner}", f"add {partner}")
        for name, (partner, given) in partners.items()
        if flags.FLAGS[name].present and not given
    )
