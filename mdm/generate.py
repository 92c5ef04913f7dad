"""python -m mdm.generate --workdir=DIR --task=text-to-image --prompt="red apple": writes, paints, speaks, describes, fills in.

What is given: --prompt (text), --image, --sound (files), or --prompts=FILE (or - for standard input): a prompt a line, or JSON
records (see mdm/data/prompts.py). For infilling, give the target too and say which part of it is kept: --keep=0:0.5 keeps the
first half (of the text, of the picture from above, of the sound) and makes the rest.

Results go to --output: files numbered on from those that are there, a line each in samples.jsonl with everything that was used,
pictures also together on a sheet. --animate adds how each came out of its masks (see mdm/evaluation/unmasking.py).
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from absl import flags, logging

from mdm import command
from mdm.data import prompts
from mdm.data.prompts import Asked, Prompt
from mdm.evaluation import result, unmasking
from mdm.evaluation.samples import SampleFolder
from mdm.evaluation.sheet import Picture
from mdm.problems import Problem, collecting, refuse_if
from mdm.sampling.batches import Batch
from mdm.sampling.canvas import Request
from mdm.sampling.defaults import DEFAULTS
from mdm.sampling.settings import SamplerSettings
from mdm.tokens.tasks import TASK_NAMES, TASKS
from mdm.trained import Sampled, TrainedModel

_WORKDIR = command.path_flag("workdir", "The run folder; it is only read.")
_TASK = flags.DEFINE_string("task", None, f"What to make of what: {', '.join(TASK_NAMES)}.", required=True)
_GIVEN = {
    "prompt": flags.DEFINE_multi_string("prompt", [], "Text that is given; several make several results."),
    "image": flags.DEFINE_multi_string("image", [], "Picture that is given."),
    "sound": flags.DEFINE_multi_string("sound", [], "Sound that is given."),
}
_PROMPTS = flags.DEFINE_string("prompts", None, "File of prompts, one a line, text or JSON; - is standard input.")
_COMMON = {
    "keep": flags.DEFINE_string("keep", None, "START:STOP, the part of a given target that is kept, in shares of it."),
    "length": flags.DEFINE_integer("length", None, "Positions of a target of free length."),
    "count": flags.DEFINE_integer("count", 1, "Results for each prompt."),
    "seed": flags.DEFINE_integer("seed", 0, "Of the first result; the others count on."),
}
_BATCH = flags.DEFINE_integer("batch", 16, "Most results that are made at once; changes none of them.")
_ANIMATE = flags.DEFINE_bool("animate", False, "Also write GIFs that show how each result came out of its masks.")
_STEP = flags.DEFINE_integer("step", None, "Checkpoint; by default the newest whole one.")
_OUTPUT = flags.DEFINE_string("output", "samples", "Folder that the results go to.")
_FLAG = {
    "str": flags.DEFINE_string,
    "int": flags.DEFINE_integer,
    "float": flags.DEFINE_float,
    "bool": flags.DEFINE_bool,
}
_SAMPLER = {
    field.name: _FLAG[field.type](
        field.name, None, "Sampler setting; by default the task's (see mdm/sampling/defaults.py)."
    )
    for field in dataclasses.fields(SamplerSettings)
}


class _Job(NamedTuple):
    """One result to be made."""

    prompt: Prompt
    request: Request
    seed: int


def main() -> None:
    task = _TASK.value
    asked, problems = prompts.read(task, _values(_GIVEN), Asked(**_values(_COMMON)), _PROMPTS.value, sys.stdin)
    default = DEFAULTS[task] if task in DEFAULTS else SamplerSettings()
    sampler = dataclasses.replace(default, **_values(_SAMPLER))
    problems += [dataclasses.replace(p, where=p.where.replace("sampler.", "--")) for p in sampler.problems("sampler")]
    if _BATCH.value < 1:
        problems.append(Problem("--batch", _BATCH.value, "below 1", "16 is usual"))
    with collecting(problems):
        model = TrainedModel.load(_WORKDIR.value, _STEP.value)
        refuse_if(model.task_problems(task))
        jobs = _jobs(model, asked, problems)
        names = [job.prompt.where for job in jobs]
        batches = model.batches([job.request for job in jobs], names, max(1, _BATCH.value))
    refuse_if(problems)
    with SampleFolder(_OUTPUT.value) as folder:
        _make(model, jobs, batches, sampler, folder)


def _values(holders: Mapping[str, flags.FlagHolder]) -> dict:
    """What was given, or stands by default."""
    return {name: holder.value for name, holder in holders.items() if holder.value is not None}


def _jobs(model: TrainedModel, asked: Sequence[Prompt], problems: list[Problem]) -> list[_Job]:
    jobs = []
    for prompt in asked:
        with collecting(problems, prompt.where):
            length, targets = prompt.asked.length, TASKS[_TASK.value].targets
            lengths = {} if length is None else dict.fromkeys(targets, length)
            request = model.request(_TASK.value, prompt.given, lengths, prompt.keep)
            jobs += [_Job(prompt, request, seed) for seed in prompt.seeds]
    return jobs


def _make(
    model: TrainedModel, jobs: Sequence[_Job], batches: Sequence[Batch], sampler: SamplerSettings, folder: SampleFolder
) -> None:
    requests, seeds = [job.request for job in jobs], [job.seed for job in jobs]
    pictures: dict[int, Picture] = {}
    same = {
        "step": model.step, "workdir": _WORKDIR.value, "config": model.fingerprint,
        "codecs": {name: codec.fingerprint for name, codec in model.codecs.items()},
        "versions": result.versions(), "device": result.device(), "grid_asked": sampler.grid,
    }  # fmt: skip
    try:
        for batch in batches:
            sampled = model.write(batch, requests, sampler, seeds)
            for number, document, turns, media in zip(
                batch.numbers, sampled.documents, sampled.turns, model.decode_all(sampled.documents), strict=True
            ):
                job, own = jobs[number], folder.first + number
                frames = unmasking.animations(media, document, turns, model.decode) if _ANIMATE.value else {}
                folder.add(own, _TASK.value, media, frames, {**_facts(job), **same, **_took(batch, sampled)})
                if "image" in media:
                    caption = job.prompt.asked.prompt or (media["text"] if "text" in media else "")
                    pictures[own] = Picture(media["image"], caption, f"seed {job.seed}")
            took = sampled.seconds, sampled.compiling
            logging.info("%d results in %.1f s, compilation %.1f s", len(batch.numbers), *took)
    finally:  # of what was made, whatever happened
        sheets = folder.add_sheets(pictures) if len(pictures) > 1 else []
        logging.info("%s holds them%s", folder.path, f", together in {', '.join(sheets)}" if sheets else "")


def _facts(job: _Job) -> dict:
    said = dataclasses.asdict(job.prompt.asked)
    return {
        "record": job.prompt.where,
        **{k: said[k] for k in ("prompt", "image", "sound", "keep", "length")},
        "seed": job.seed,
    }


def _took(batch: Batch, sampled: Sampled) -> dict:
    rows, length = batch.canvas.masked.shape
    return {
        "sampler": dataclasses.asdict(sampled.sampler),
        "batch": {
            "results": len(batch.numbers), "rows": rows, "row_length": length, "seconds": round(sampled.seconds, 3),
            "compilation_seconds": round(sampled.compiling, 3),
            "network_calls": {"whole": int(sampled.calls.whole), "part": int(sampled.calls.part)},
        },
    }  # fmt: skip


if __name__ == "__main__":
    command.run(main)
