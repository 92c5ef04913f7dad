"""From prompts to media in a folder, with everything that was used written beside them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from absl import logging

from mdm.data.prompts import Prompt
from mdm.evaluation import result, unmasking
from mdm.evaluation.samples import SampleFolder
from mdm.evaluation.sheet import Picture
from mdm.problems import Problem, collecting
from mdm.sampling.batches import Batch
from mdm.sampling.canvas import Request
from mdm.sampling.settings import SamplerSettings
from mdm.trained import Sampled, TrainedModel


class Job(NamedTuple):
    """One result to be made."""

    prompt: Prompt
    request: Request
    seed: int


def jobs_of(
    model: TrainedModel, task: str, asked: Sequence[Prompt], sampler: SamplerSettings, problems: list[Problem]
) -> list[Job]:
    """What is asked for, one result after another; what is wrong with it goes to `problems`."""
    jobs = []
    for prompt in asked:
        with collecting(problems, prompt.where):
            own = model.requests(task, prompt.given, list(map(sampler.room_seed, prompt.seeds)), prompt.extent)
            jobs += [Job(prompt, request, seed) for request, seed in zip(own, prompt.seeds, strict=True)]
    return jobs


def make(
    model: TrainedModel,
    task: str,
    jobs: Sequence[Job],
    batches: Sequence[Batch],
    sampler: SamplerSettings,
    folder: SampleFolder,
    facts: Mapping[str, Any],
    animate: bool,
) -> None:
    """Makes the results and writes them down, batch by batch: what was made stays, whatever happens to the next.

    facts: what else `samples.jsonl` is to say of each; animate: also how each came out of its masks
    """
    requests, seeds = [job.request for job in jobs], [job.seed for job in jobs]
    pictures: dict[int, Picture] = {}
    same = {
        **facts, "step": model.step, "weights": model.weights, "config": model.fingerprint,
        "attention": model.network.settings.attention,
        "codecs": {name: codec.fingerprint for name, codec in model.codecs.items()},
        "versions": result.versions(), "device": result.device(), "grid_asked": sampler.grid,
        "schedule": model.settings.corruption.name_of(task),  # of an adaptive one, "trained" is what it began as
    }  # fmt: skip
    try:
        for batch in batches:
            sampled = model.write(batch, requests, sampler, seeds)
            for number, document, turns, media in zip(
                batch.numbers, sampled.documents, sampled.turns, model.decode_all(sampled.documents), strict=True
            ):
                job, own = jobs[number], folder.first + number
                frames = unmasking.animations(media, document, turns, model.decode) if animate else {}
                folder.add(own, task, media, frames, {**_facts(job), **same, **_took(batch, sampled)})
                if "image" in media:
                    caption = job.prompt.asked.prompt or (media["text"] if "text" in media else "")
                    pictures[own] = Picture(media["image"], caption, f"seed {job.seed}")
            took = sampled.seconds, sampled.compiling
            logging.info("%d results in %.1f s, compilation %.1f s", len(batch.numbers), *took)
    finally:  # of what was made, whatever happened
        sheets = folder.add_sheets(pictures) if len(pictures) > 1 else []
        logging.info("%s holds them%s", folder.path, f", together in {', '.join(sheets)}" if sheets else "")


def _facts(job: Job) -> dict:
    said = dataclasses.asdict(job.prompt.asked)
    return {
        "record": job.prompt.where,
        **{k: said[k] for k in ("prompt", "image", "sound", "keep", "mask", "more", "length")},
        "seed": job.seed,
        "shapes": {modality: list(shape) for modality, shape in job.request.shapes.items()},
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
