"""Prompts: what a user asks for, from the command line, a file or standard input, checked before anything is computed.

A file has a prompt a line. A line that begins with { is a record in JSON instead, with the keys of `Asked`; its paths are
relative to the folder of the file. Empty lines are passed over.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from mdm.codecs.codec import Media
from mdm.data.extents import MOST_POSITIONS, WHOLE, Extent, extent_of, lengths_of
from mdm.data.media import read_image, read_sound, read_text
from mdm.data.regions import NO_PARTS, parts
from mdm.problems import Problem, collecting, refuse_if
from mdm.tokens.tasks import TASK_NAMES, TASKS, Task

STANDARD_INPUT = "-"
MOST_RESULTS = 100_000  # of one call: a slip of the finger must not fill the memory
MOST_SEED = 2**32 - 1


@dataclasses.dataclass(frozen=True)
class Asked:
    """One record as it was written; None is what it does not say.

    prompt, image, sound: a text, and files
    keep, mask, more: what is kept of a given target, and how far it goes on (`mdm.data.extents`); mask is a file
    length: positions of a target of free length that is made as a whole
    count:  results
    seed:   of the first of them; the others count on
    """

    prompt: str | None = None
    image: str | None = None
    sound: str | None = None
    keep: str | None = None
    mask: str | None = None
    more: int | None = None
    length: int | str | Mapping[str, int] | None = None
    count: int | None = None
    seed: int | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Prompt:
    """A record that can be used.

    where: how its owner calls it
    asked: the record, with what holds for all of them
    given: media by modality
    extent: how much is made
    seeds: of its results
    """

    where: str
    asked: Asked
    given: Mapping[str, Media]
    extent: Extent
    seeds: tuple[int, ...]


_READERS: dict[str, tuple[str, Callable[[str], Media]]] = {
    "text": ("prompt", str),
    "image": ("image", lambda path: read_image(Path(path))),
    "audio": ("sound", lambda path: read_sound(Path(path))),
}
"""Modality -> (key, what reads its value)."""
_INFILLING = ("keep", "mask", "more")
_NO_TARGET = "no target is given that could be kept"
_RANGES = {"more": (1, MOST_POSITIONS), "count": (1, MOST_RESULTS), "seed": (0, MOST_SEED)}


def read(
    task: str, given: Mapping[str, Sequence[str]], common: Asked, file: str | None = None, stdin: TextIO | None = None
) -> tuple[list[Prompt], list[Problem]]:
    """The records that can be used, in order, and everything that is wrong with what is given and with the others.

    given:  values of prompt, image and sound on the command line: as many as results, or one for all of them
    common: what holds for each record that does not say otherwise. Its seed is that of the first result of all: result n
            has seed + n, unless its record has a seed of its own
    file:   prompts to read, or `STANDARD_INPUT`; what the command line gives once then serves every record
    """
    problems = [] if task in TASKS else [Problem("--task", task, "is not a task", f"use one of {TASK_NAMES}")]
    own = TASKS[task] if task in TASKS else None
    given = {key: values for key, values in given.items() if values}
    results = 1 if file is not None else max(map(len, given.values()), default=1)
    problems += [
        Problem(f"--{key}", len(values), f"values beside {results} result{'s' * (results > 1)}",
                "give one for all" + (", or put them into the file" if file is not None else ", or as many as results"))
        for key, values in given.items()
        if len(values) not in (1, results)
    ]  # fmt: skip
    records = []
    with collecting(problems):
        records = _on_the_command_line(given, results) if file is None else _lines(file, stdin, problems)
    shared = [common, *([] if file is None else _spread(given, 1))]
    wrong = [problem for value in shared for problem in _field_problems(value, "--", own)]
    problems += wrong
    common = functools.reduce(_completed, shared)
    prompts: list[Prompt] = []
    whole = []
    for where, value in records:
        found = _field_problems(value, "--" if file is None else f"{where}: ", own)
        asked = _completed(value, common)
        found += _nothing_to_keep(value, asked, own, f"{where}: ") if own and not found else []
        problems += found
        whole += [] if found else [(where, asked)]
    if own and not wrong:
        problems += _nothing_to_keep_for_all(whole, common, own)
        prompts = _read_media(whole, own, common.seed or 0, problems)
    return prompts, problems


def _on_the_command_line(given: Mapping[str, Sequence[str]], results: int) -> list[tuple[str, Asked]]:
    return [(f"result {number}", value) for number, value in enumerate(_spread(given, results), start=1)]


def _spread(given: Mapping[str, Sequence[str]], results: int) -> list[Asked]:
    return [Asked(**{key: values[n % len(values)] for key, values in given.items()}) for n in range(results)]


def _said(pairs: Sequence[tuple[str, object]]) -> dict:
    return {key: value for key, value in pairs if value is not None}


def _completed(asked: Asked, common: Asked) -> Asked:
    """With what `common` says where `asked` says nothing; but a seed is each record's own."""
    said = dataclasses.asdict(asked, dict_factory=_said)
    return dataclasses.replace(common, **{"seed": None, **said})


def _lines(file: str, stdin: TextIO | None, problems: list[Problem]) -> list[tuple[str, Asked]]:
    if file == STANDARD_INPUT:
        name, folder = "standard input", Path()
        try:
            text = stdin.read()
        except UnicodeDecodeError as error:
            refuse_if([Problem(name, None, f"is not UTF-8 ({error})", "convert it")])
    else:
        name, folder = file, Path(file).parent
        text = read_text(Path(file))
    records = []
    lines = [line.strip() for line in text.removeprefix("\ufeff").split("\n")]
    for number, line in enumerate(lines, start=1):
        if line:
            with collecting(problems):
                where = f"{name} line {number}"
                records.append((where, _record(line, where, folder) if line[0] == "{" else Asked(prompt=line)))
    if not any(lines):
        problems.append(Problem(name, None, "holds no prompt", "write one a line"))
    return records


def _record(line: str, where: str, folder: Path) -> Asked:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        remedy = 'write one record a line, e.g. {"prompt": "red apple", "seed": 3}'
        refuse_if([Problem(where, None, f"is not JSON ({error})", remedy)])
    keys = [field.name for field in dataclasses.fields(Asked)]
    problems = []
    for key in value:
        if key not in keys:
            near = difflib.get_close_matches(key, keys, 1)
            remedy = f"did you mean {near[0]}?" if near else f"a record has {', '.join(keys)}"
            problems.append(Problem(f"{where}: {key}", value[key], "there is no such key", remedy))
    refuse_if(problems)
    for key in ("image", "sound", "mask"):
        if key in value and isinstance(value[key], str):
            value[key] = str(folder / value[key])
    return Asked(**value)


def _field_problems(asked: Asked, at: str, task: Task | None) -> list[Problem]:
    """Of what a record says itself."""
    found = []
    said = dataclasses.asdict(asked, dict_factory=_said)
    for key, value in said.items():
        where = f"{at}{key}"
        if key in _RANGES:
            least, most = _RANGES[key]
            if type(value) is not int or not least <= value <= most:
                found.append(Problem(where, value, "is out of range", f"use a whole number from {least} to {most}"))
        elif key == "length":
            if task:
                lengths_of(task, value, where, found)
        elif not isinstance(value, str) or not value.strip():
            found.append(Problem(where, value, "is no text, or empty", "fill it in, or leave it out"))
        elif key == "keep" and parts(value) is None:
            found.append(Problem(where, value, *NO_PARTS))
    for modality, (key, _) in _READERS.items():
        if task and key in said and modality not in task.modalities:
            remedy = f"leave it out: {task.name} is about {' and '.join(sorted(task.modalities))}"
            found.append(Problem(f"{at}{key}", said[key], f"{task.name} takes no {modality}", remedy))
    return found


def _given_targets(asked: Asked, task: Task) -> list[str]:
    return [modality for modality in task.targets if getattr(asked, _READERS[modality][0]) is not None]


def _nothing_to_keep(said: Asked, whole: Asked, task: Task, at: str) -> list[Problem]:
    """Of what a record says itself of keeping a target, if it gives none. whole: with what holds for all of them."""
    if _given_targets(whole, task):
        return []
    values = {key: getattr(said, key) for key in _INFILLING}
    remedy = f"leave it out, or give {' or '.join(_keys_of(task))}"
    return [Problem(f"{at}{k}", v, _NO_TARGET, remedy) for k, v in values.items() if v is not None]


def _nothing_to_keep_for_all(records: Sequence[tuple[str, Asked]], common: Asked, task: Task) -> list[Problem]:
    """Of what holds for all, if some give no target: what was made without it must not be logged as made with it."""
    without = [where for where, asked in records if not _given_targets(asked, task)]
    if not without:
        return []
    some = f"{without[0]}{f' and {len(without) - 1} more' if without[1:] else ''}: "
    found = _nothing_to_keep(common, Asked(), task, "--")
    return [p if len(without) == len(records) else dataclasses.replace(p, reason=some + p.reason) for p in found]


def _keys_of(task: Task) -> list[str]:
    return [_READERS[modality][0] for modality in task.targets]


def _read_media(records: Sequence[tuple[str, Asked]], task: Task, base: int, problems: list[Problem]) -> list[Prompt]:
    """A file that several records name is read once, and told once if it cannot be."""
    total = sum(asked.count or 1 for _, asked in records)
    if total > MOST_RESULTS:
        problems.append(
            Problem("--count", total, f"more than {MOST_RESULTS} results in all", "ask for fewer at a time")
        )
        return []
    seen: dict[tuple[str, str], Media | None] = {}
    prompts: list[Prompt] = []
    before = 0
    for where, asked in records:
        given: dict[str, Media] = {}
        found: list[Problem] = []
        for modality, (key, reader) in _READERS.items():
            value = getattr(asked, key)
            if value is None and modality in task.conditions:
                found.append(
                    Problem(
                        where, None, f"{task.name} needs {modality}", f"give its {key} (--{key}, or {key} in a record)"
                    )
                )
            if value is None:
                continue
            if (modality, value) not in seen:
                seen[modality, value] = None
                with collecting(found, where):
                    seen[modality, value] = reader(value)
            given[modality] = seen[modality, value]
        infilling = {}
        if _given_targets(asked, task):  # otherwise it has been told that there is nothing to keep
            infilling = {key: getattr(asked, key) for key in _INFILLING}
            if asked.mask is not None:
                if ("mask", asked.mask) not in seen:
                    seen["mask", asked.mask] = None
                    with collecting(found, where):
                        seen["mask", asked.mask] = read_image(Path(asked.mask))
                infilling["mask"] = seen["mask", asked.mask]
        extent = WHOLE if found else extent_of(task, given, f"{where}: ", found, length=asked.length, **infilling)
        first, count = base + before if asked.seed is None else asked.seed, asked.count or 1
        before += count
        if first + count - 1 > MOST_SEED:
            found.append(Problem(where, first + count - 1, "is too large a seed", f"use seeds up to {MOST_SEED}"))
        problems += found
        if not found and all(media is not None for media in given.values()):
            prompts.append(Prompt(where, asked, given, extent, tuple(range(first, first + count))))
    return prompts
