"""python -m mdm.generate --workdir=DIR --task=text-to-image --prompt="red apple": writes, paints, speaks, describes, fills in.

What is given: --prompt (text), --image, --sound (files), or --prompts=FILE (or - for standard input): a prompt a line, or JSON
records (see mdm/data/prompts.py). For infilling, give the target too and say which part of it is kept: --keep=0:0.5 keeps the
first half (of the text, of the picture from above, of the sound) and makes the rest; --mask=FILE makes anew what is bright in it;
--more=100 writes on behind a text or a sound (see mdm/data/extents.py).

Results go to --output: files numbered on from those that are there, a line each in samples.jsonl with everything that was used,
pictures also together on a sheet. --animate adds how each came out of its masks (see mdm/evaluation/unmasking.py).
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping

from absl import flags

from mdm import command, generating
from mdm.data import prompts
from mdm.data.prompts import Asked
from mdm.evaluation.samples import SampleFolder
from mdm.problems import Problem, collecting, refuse_if
from mdm.runs.checkpoint import PARAMETERS
from mdm.sampling.defaults import DEFAULTS
from mdm.sampling.settings import SamplerSettings, meanings
from mdm.tokens.tasks import TASK_NAMES, TASKS
from mdm.trained import TrainedModel

_WORKDIR = command.path_flag("workdir", "The run folder; it is only read.")
_TASK = flags.DEFINE_string("task", None, f"What to make of what: {', '.join(TASK_NAMES)}.", required=True)
_GIVEN = {
    "prompt": flags.DEFINE_multi_string("prompt", [], "Text that is given; several make several results."),
    "image": flags.DEFINE_multi_string("image", [], "Picture that is given."),
    "sound": flags.DEFINE_multi_string("sound", [], "Sound that is given."),
}
_PROMPTS = flags.DEFINE_string("prompts", None, "File of prompts, one a line, text or JSON; - is standard input.")
_COMMON = {
    "keep": flags.DEFINE_string(
        "keep", None, "START:STOP, what is kept of a given target, in shares of it; several with commas."
    ),
    "mask": flags.DEFINE_string("mask", None, "Picture over the given one: what is bright in it is made anew."),
    "more": flags.DEFINE_integer("more", None, "Positions that may be written behind a given text or sound."),
    "length": flags.DEFINE_string(
        "length", None, "Positions of a target of free length, or of each: text=20,audio=300."
    ),
    "count": flags.DEFINE_integer("count", 1, "Results for each prompt."),
    "seed": flags.DEFINE_integer("seed", 0, "Of the first result; the others count on."),
}
_BATCH = flags.DEFINE_integer("batch", 16, "Most results that are made at once; changes none of them.")
_ANIMATE = flags.DEFINE_bool("animate", False, "Also write GIFs that show how each result came out of its masks.")
_WEIGHTS = flags.DEFINE_enum("weights", "ema", PARAMETERS, "Which parameters.")
_STEP = flags.DEFINE_integer("step", None, "Checkpoint; by default the newest whole one.")
_OUTPUT = flags.DEFINE_string("output", "samples", "Folder that the results go to.")
_FLAG = {
    "str": flags.DEFINE_string,
    "int": flags.DEFINE_integer,
    "float": flags.DEFINE_float,
    "bool": flags.DEFINE_bool,
}
_MEANINGS = meanings()
_SAMPLER = {
    field.name: _FLAG[field.type](
        field.name, None, f"Sampler: {_MEANINGS[field.name]}. By default the task's (mdm/sampling/defaults.py)."
    )
    for field in dataclasses.fields(SamplerSettings)
}


def main() -> None:
    task = _TASK.value
    asked, problems = prompts.read(task, _values(_GIVEN), Asked(**_values(_COMMON)), _PROMPTS.value, sys.stdin)
    own, default = (TASKS[task], DEFAULTS[task]) if task in TASKS else (None, SamplerSettings())
    sampler = dataclasses.replace(default, **_values(_SAMPLER))
    problems += [
        dataclasses.replace(p, where=p.where.replace("sampler.", "--")) for p in sampler.problems("sampler", own)
    ]
    if _BATCH.value < 1:
        problems.append(Problem("--batch", _BATCH.value, "below 1", "16 is usual"))
    with collecting(problems):
        model = TrainedModel.load(_WORKDIR.value, _STEP.value, _WEIGHTS.value)
        refuse_if(model.task_problems(task))
        jobs = generating.jobs_of(model, task, asked, sampler, problems)
        names = [job.prompt.where for job in jobs]
        batches = model.batches([job.request for job in jobs], names, max(1, _BATCH.value))
    refuse_if(problems)
    with SampleFolder(_OUTPUT.value) as folder:
        generating.make(model, task, jobs, batches, sampler, folder, {"workdir": _WORKDIR.value}, _ANIMATE.value)


def _values(holders: Mapping[str, flags.FlagHolder]) -> dict:
    """What was given, or stands by default."""
    return {name: holder.value for name, holder in holders.items() if holder.value is not None}


if __name__ == "__main__":
    command.run(main)
