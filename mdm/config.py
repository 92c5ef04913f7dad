"""Configuration: one ConfigDict for every binary, resolved once into the frozen settings of the rooms.

`base()` holds every setting with its default, so that an experiment is a short list of differences and a mistyped override
is refused by the lock. `resolve()` gives the settings, or one Refusal that lists everything that is wrong. Keys are written
with underscores (`image_text`, `text_to_image`); the names of streams and tasks have hyphens, those of the streams of sources
too, however they are written.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

from absl import logging
from ml_collections import ConfigDict

from mdm.codecs import registry
from mdm.data.mixture import Stage
from mdm.data.pipeline import DataSettings
from mdm.data.preparation import CodecChoice, PreparationSettings
from mdm.data.sources import BY_CONCEPT, SOURCES, SourceSettings
from mdm.data.streams import StreamSettings
from mdm.diffusion.corruption import CorruptionSettings
from mdm.diffusion.objective import ObjectiveSettings
from mdm.evaluation.task import EvaluationSettings
from mdm.model.transformer import ModelSettings
from mdm.problems import Problem, Refusal, refuse_if
from mdm.runs.checkpoint import CheckpointSettings
from mdm.training.guards import GuardSettings
from mdm.training.loop import Job, TrainingSettings
from mdm.training.mesh import MeshSettings
from mdm.training.optimizer import OptimizerSettings
from mdm.training.origin import OriginSettings

_hints = functools.cache(typing.get_type_hints)  # it compiles every annotation: two thirds of the time of `resolve`
_NAMED = ("streams", "tasks", "schedules", "rows")  # mappings whose keys are names of streams or tasks
_OWN = (CodecChoice, SourceSettings)  # written in ways of their own


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings of every room, as one config file gives them."""

    prepare: PreparationSettings
    data: DataSettings
    corruption: CorruptionSettings
    objective: ObjectiveSettings
    model: ModelSettings
    optimizer: OptimizerSettings
    training: TrainingSettings
    mesh: MeshSettings
    checkpoints: CheckpointSettings
    guards: GuardSettings
    origin: OriginSettings
    evaluation: EvaluationSettings

    def problems(self) -> list[Problem]:
        return [p for field in dataclasses.fields(self) for p in getattr(self, field.name).problems(field.name)]

    @property
    def job(self) -> Job:
        """What a pretraining run needs."""
        return Job(**{field.name: getattr(self, field.name) for field in dataclasses.fields(Job)})


def base() -> ConfigDict:
    """Every setting with its default. What has no default (sources, streams, folders) is empty."""
    defaults = Settings(
        prepare=PreparationSettings({}, {}),
        data=DataSettings("", 256, {}, ()),
        corruption=CorruptionSettings(),
        objective=ObjectiveSettings(),
        model=ModelSettings(),
        optimizer=OptimizerSettings(),
        training=TrainingSettings(batch_size=16, tokens=0),
        mesh=MeshSettings(),
        checkpoints=CheckpointSettings(),
        guards=GuardSettings(),
        origin=OriginSettings(),
        evaluation=EvaluationSettings(),
    )
    return ConfigDict(to_dict(defaults))


def source(kind: str, path: str, stream: str, **options) -> ConfigDict:
    """An entry of `config.prepare.sources`. options: of its kind, where they are not the defaults, and its `side`."""
    return ConfigDict({"kind": kind, "path": path, "stream": stream, **options})


def codec(kind: str, **settings) -> ConfigDict:
    """An entry of `config.prepare.codecs`: the settings of a codec with these differences from its defaults."""
    defaults = ConfigDict({"kind": kind, **to_dict(registry.settings_for(kind)())})
    defaults.update(settings)
    return defaults


def stream(tasks: Mapping[str, float], *, split_documents: bool = False, drop_long: bool = False) -> ConfigDict:
    """An entry of `config.data.streams`."""
    return ConfigDict({"tasks": dict(tasks), "split_documents": split_documents, "drop_long": drop_long})


def stage(from_row: int = 0, **rows: int) -> dict:
    """An entry of the list `config.data.stages`: rows per block of each stream from a data row on."""
    return {"from_row": from_row, "rows": rows}  # a ConfigDict inside a list would not become a dict with the rest


def resolve(config: ConfigDict | Mapping) -> Settings:
    """The frozen settings. Raises Refusal with every unknown, missing or impossible setting."""
    problems: list[Problem] = []
    settings = _build(Settings, config.to_dict() if isinstance(config, ConfigDict) else config, "", problems)
    refuse_if(problems)
    refuse_if(settings.problems())
    return settings


def from_dict(value: Mapping, where: str) -> Settings:
    """The settings that a run folder holds. They were resolved when the run began, perhaps on another machine: folders and
    devices are not asked for again.

    A setting that the file does not have came into being after it, and stands at its default: the default of a new setting is
    what was done before there was one. Raises Refusal, naming `where`, for a setting that is unknown here.
    """
    problems: list[Problem] = []
    added: list[str] = []
    settings = _build(Settings, _completed(Settings, value, "", added), "", problems)
    if added:
        logging.info("%s is of an earlier version; at their defaults: %s", where, ", ".join(added))
    refuse_if(problem.inside(where) for problem in problems)
    return settings


def changed(usual: Any, changes: Mapping, at: str, problems: list[Problem]) -> Any:
    """A dataclass of settings with some of them changed; what is unknown or of a wrong type goes into `problems`."""
    return _build(type(usual), to_dict(usual) | changes, at, problems)


def to_dict(value: Any) -> Any:
    """Settings as plain dicts, lists and scalars; `resolve(ConfigDict(to_dict(s)))` gives them back."""
    if isinstance(value, CodecChoice):
        return {"kind": value.kind, **to_dict(value.settings)}
    if isinstance(value, SourceSettings):
        place, usual = (value.kind, value.path, value.stream), type(value.chosen)()
        fields = [field.name for field in dataclasses.fields(usual)]
        chosen = {
            name: getattr(value.chosen, name) for name in fields if getattr(value.chosen, name) != getattr(usual, name)
        }
        if value.side != BY_CONCEPT:
            chosen["side"] = value.side
        return dict(zip(("kind", "path", "stream"), place, strict=True)) | to_dict(chosen)
    if dataclasses.is_dataclass(value):
        return {
            field.name: to_dict(_keys(field.name, getattr(value, field.name), _key))
            for field in dataclasses.fields(value)
        }
    if isinstance(value, Mapping):
        return {key: to_dict(part) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return [to_dict(part) for part in value]
    return value


def _name(key: str) -> str:
    """The name of a stream or task, as settings have it, for its key in a config."""
    return key.replace("_", "-")


def _key(name: str) -> str:
    return name.replace("-", "_")


def _keys(field: str, value: Any, renamed: Callable[[str], str]) -> Any:
    if field in _NAMED and isinstance(value, Mapping):
        return {renamed(key): part for key, part in value.items()}
    return value


def _build(kind: Any, value: Any, at: str, problems: list[Problem]) -> Any:
    """`value` as an instance of the annotated type `kind`; what is wrong goes into `problems`."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is CodecChoice:
        return _codec(value, at, problems)
    if kind is SourceSettings:
        return _source(value, at, problems)
    if dataclasses.is_dataclass(kind):
        return _dataclass(kind, value, at, problems)
    if origin in (Mapping, dict) or kind is Mapping:
        if not isinstance(value, Mapping):
            return _wrong(value, at, "a group of settings", problems)
        return {key: _build(arguments[1], part, f"{at}.{key}", problems) for key, part in value.items()}
    if origin is tuple:
        if not isinstance(value, list | tuple):
            return _wrong(value, at, "a list", problems)
        return tuple(_build(arguments[0], part, f"{at}[{number}]", problems) for number, part in enumerate(value))
    if origin in (typing.Union, types.UnionType):
        return value
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        return _wrong(
            value,
            at,
            {int: "a whole number", float: "a number", str: "a string", bool: "True or False"}[kind],
            problems,
        )
    return value


def _completed(kind: type, value: Any, at: str, added: list[str]) -> Any:
    """`value` with the defaults of the settings that it lacks, group by group; their names go into `added`."""
    if not isinstance(value, Mapping):
        return value
    hints, found = _hints(kind), dict(value)
    for field in dataclasses.fields(kind):
        name = f"{at}{field.name}"
        if dataclasses.is_dataclass(hints[field.name]):
            own = found[field.name] if field.name in found else {}
            found[field.name] = _completed(hints[field.name], own, f"{name}.", added)
        elif field.name in found:
            own, inner = found[field.name], typing.get_args(hints[field.name])[-1:]
            if isinstance(own, Mapping) and inner and dataclasses.is_dataclass(inner[0]) and inner[0] not in _OWN:
                found[field.name] = {
                    key: _completed(inner[0], part, f"{name}.{key}.", added) for key, part in own.items()
                }
        elif field.default is not dataclasses.MISSING:
            found[field.name] = to_dict(field.default)
            added.append(name)
        elif field.default_factory is not dataclasses.MISSING:
            found[field.name] = to_dict(field.default_factory())
            added.append(name)
    return found


def _wrong(value: Any, at: str, wanted: str, problems: list[Problem]) -> Any:
    problems.append(Problem(at, value, f"is not {wanted}", f"give {wanted}"))
    return value


def _dataclass(kind: type, value: Any, at: str, problems: list[Problem]) -> Any:
    if not isinstance(value, Mapping):
        return _wrong(value, at, "a group of settings", problems)
    hints = _hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    prefix = f"{at}." if at else ""
    for key in value:
        if key not in fields:
            near = difflib.get_close_matches(key, fields, 1)
            remedy = f"did you mean {prefix}{near[0]}?" if near else f"it has {', '.join(fields)}"
            problems.append(Problem(f"{prefix}{key}", value[key], "there is no such setting", remedy))
    for name in fields:
        if name not in value:
            problems.append(Problem(f"{prefix}{name}", None, "is missing", "start from mdm.config.base()"))
    known = {
        name: _build(hints[name], _keys(name, value[name], _name), f"{prefix}{name}", problems)
        for name in fields
        if name in value
    }
    return None if len(known) < len(fields) else kind(**known)


def _source(value: Any, at: str, problems: list[Problem]) -> SourceSettings | None:
    """A source with its place, and those of its kind's options that are given."""
    if not isinstance(value, Mapping) or "kind" not in value:
        return _wrong(value, at, "a source (a group of settings with a kind)", problems)
    place = ("kind", "path", "stream")
    if value["kind"] not in tuple(SOURCES):
        problems.append(Problem(f"{at}.kind", value["kind"], "unknown", f"use one of {tuple(SOURCES)}"))
        return None
    given = {key: part for key, part in value.items() if key not in (*place, "side")}
    usual = SOURCES[value["kind"]].options()
    options = changed(usual, given, at, problems) if given else usual
    missing = [key for key in place if key not in value]
    if missing:  # told after a misspelt one, which is why it is missing
        problems += [Problem(f"{at}.{key}", None, "is missing", "see mdm.config.source") for key in missing]
        return None
    kind, path, stream = (_build(str, value[key], f"{at}.{key}", problems) for key in place)
    stream = _name(stream) if isinstance(stream, str) else stream  # else it is told as a problem
    side = _build(str, value["side"], f"{at}.side", problems) if "side" in value else BY_CONCEPT
    return SourceSettings(kind, path, stream, options=None if options == usual else options, side=side)


def _codec(value: Any, at: str, problems: list[Problem]) -> CodecChoice | None:
    if not isinstance(value, Mapping) or "kind" not in value:
        return _wrong(value, at, "a codec (a group of settings with a kind)", problems)
    if value["kind"] not in tuple(registry.CODECS):
        remedy = f"use one of {tuple(registry.CODECS)}"
        problems.append(Problem(f"{at}.kind", value["kind"], "is not a codec", remedy))
        return None
    rest = {key: part for key, part in value.items() if key != "kind"}
    return CodecChoice(value["kind"], _build(registry.settings_for(value["kind"]), rest, at, problems))


__all__ = [
    "Refusal", "Settings", "SourceSettings", "Stage", "StreamSettings", "base", "changed", "codec", "resolve", "source", "stage",
    "stream", "to_dict",
]  # fmt: skip
