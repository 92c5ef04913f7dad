"""python -m mdm.generate --workdir=DIR --task=text-to-image --prompt="red apple": writes, paints, speaks, describes, fills in.

What is given: --prompt (text), --image, --sound (files). For infilling, give the target too and say which part of it is
kept: --keep=0:0.5 keeps the first half (of the text, of the picture from above, of the sound) and makes the rest.
"""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path

import soundfile
from absl import flags, logging
from PIL import Image

from mdm import command
from mdm.data.media import read_image, read_sound
from mdm.problems import Problem, Refusal, refuse_if
from mdm.sampling.defaults import DEFAULTS
from mdm.sampling.settings import SamplerSettings
from mdm.tokens.tasks import TASK_NAMES, TASKS
from mdm.trained import TrainedModel

_WORKDIR = command.path_flag("workdir", "The run folder; it is only read.")
_TASK = flags.DEFINE_enum("task", None, TASK_NAMES, "What to make of what.", required=True)
_PROMPT = flags.DEFINE_multi_string("prompt", [], "Text that is given; several make several results.")
_IMAGE = flags.DEFINE_multi_string("image", [], "Picture that is given.")
_SOUND = flags.DEFINE_multi_string("sound", [], "Sound that is given.")
_KEEP = flags.DEFINE_string(
    "keep", None, "START:STOP, the part of a given target that is kept, as shares of its length."
)
_LENGTH = flags.DEFINE_integer("length", None, "Positions of a target of free length.", lower_bound=1)
_COUNT = flags.DEFINE_integer("count", 1, "Results for each prompt.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 0, "Of the first result; the others count on.", lower_bound=0)
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


def main() -> None:
    model = TrainedModel.load(_WORKDIR.value, _STEP.value)
    changes = {name: holder.value for name, holder in _SAMPLER.items() if holder.value is not None}
    sampler = dataclasses.replace(DEFAULTS[_TASK.value], **changes)
    refuse_if(sampler.problems("sampler"))
    lengths = {} if _LENGTH.value is None else dict.fromkeys(TASKS[_TASK.value].targets, _LENGTH.value)
    givens = _givens()
    requests = [
        model.request(_TASK.value, given, lengths, _kept(given)) for given in givens for _ in range(_COUNT.value)
    ]
    seeds = range(_SEED.value, _SEED.value + len(requests))
    begun = time.perf_counter()
    documents, calls = model.generate_counted(requests, sampler, seeds)
    seconds = time.perf_counter() - begun
    output = Path(_OUTPUT.value)
    output.mkdir(parents=True, exist_ok=True)
    with open(output / "samples.jsonl", "a", encoding="utf-8") as log:
        for number, (document, seed) in enumerate(zip(documents, seeds, strict=True)):
            stem = f"{_TASK.value}-step{model.step}-seed{seed}"
            files = {modality: _write(output / stem, media) for modality, media in model.decode(document).items()}
            line = {
                "task": _TASK.value, "step": model.step, "workdir": _WORKDIR.value, "seed": seed, "files": files,
                "prompt": (_PROMPT.value or [None])[number // _COUNT.value % max(1, len(_PROMPT.value))],
                "image": _IMAGE.value, "sound": _SOUND.value, "keep": _KEEP.value,
                "sampler": dataclasses.asdict(sampler), "seconds_for_all": round(seconds, 3),
                "network_calls": {"whole": int(calls.whole), "part": int(calls.part)},
            }  # fmt: skip
            log.write(json.dumps(line, ensure_ascii=False) + "\n")
    logging.info("%d results in %s, %.1f s", len(documents), output, seconds)


def _givens() -> list[dict]:
    """Media by modality for each result; a medium that is given once serves all."""
    own = {
        "text": list(_PROMPT.value),
        "image": [read_image(Path(path)) for path in _IMAGE.value],
        "audio": [read_sound(Path(path)) for path in _SOUND.value],
    }
    task = TASKS[_TASK.value]
    problems = [
        Problem("--task", task.name, f"needs {modality}", f"give {flag}")
        for modality, flag in (("text", "--prompt"), ("image", "--image"), ("audio", "--sound"))
        if modality in task.conditions and not own[modality]
    ]
    count = max([1, *map(len, own.values())])
    for modality, media in own.items():
        if media and modality not in task.modalities:
            problems.append(
                Problem("--task", task.name, f"takes no {modality}", f"it is about {tuple(task.modalities)}")
            )
        if len(media) not in (0, 1, count):
            problems.append(
                Problem(modality, len(media), f"{count} results are asked for", "give one, or as many as results")
            )
    refuse_if(problems)
    return [{m: media[i % len(media)] for m, media in own.items() if media} for i in range(count)]


def _kept(given: dict) -> dict[str, tuple[float, float]]:
    targets = [modality for modality in TASKS[_TASK.value].targets if modality in given]
    if not targets:
        return {}
    try:
        start, stop = map(float, _KEEP.value.split(":"))
        if not 0 <= start < stop <= 1:
            raise ValueError
    except (AttributeError, ValueError):
        raise Refusal(
            Problem(
                "--keep",
                _KEEP.value,
                f"{targets} is a target and is given, so part of it must be kept",
                "use e.g. --keep=0:0.5",
            )
        ) from None
    return dict.fromkeys(targets, (start, stop))


def _write(stem: Path, media) -> str:
    """Writes text, picture or sound; returns the file's name."""
    if isinstance(media, str):
        path = stem.with_name(stem.name + ".txt")
        path.write_text(media, encoding="utf-8")
        logging.info("%s: %s", path.name, media)
    elif hasattr(media, "samples"):
        path = stem.with_name(stem.name + ".wav")
        soundfile.write(path, media.samples, media.rate, subtype="PCM_16")
    else:
        path = stem.with_name(stem.name + ".png")
        Image.fromarray(media).save(path)
    return path.name


if __name__ == "__main__":
    command.run(main)
