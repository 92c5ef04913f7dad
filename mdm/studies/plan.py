"""The plan of a study: its trials, each with the settings that name it; refused as a whole, with everything that is wrong."""

from __future__ import annotations

import dataclasses
import difflib
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mdm.fingerprint import fingerprint
from mdm.problems import Problem, Refusal, refuse_if
from mdm.studies import dotted, metrics
from mdm.studies.rows import SEED
from mdm.studies.study import Axis, Levels, Study
from mdm.studies.work import TRAINING, WORKS, Work


@dataclasses.dataclass(frozen=True)
class Trial:
    """id: fingerprint of what decides its figures; levels: axis -> label; config: the resolved settings, plain."""

    id: str
    levels: Levels
    config: dict

    def __str__(self) -> str:
        return f"{self.id} ({', '.join(f'{axis} {label}' for axis, label in self.levels.items())})"


def plan(study: Study, base: dict, work: Work) -> tuple[Trial, ...]:
    """All trials, in the order of the product, the seeds innermost. With a search: those that it starts from.

    base: the study's base config as plain dicts; work: of the study's kind.
    Raises Refusal with everything that is wrong with the study.
    """
    refuse_if(list(_malformed(study)))
    found = [*_misuses(study), *_conflicts(study)]
    common = dotted.apply(base, study.overrides, found)
    refuse_if(_unique(found))
    axes = [(axis.name, axis.levels) for axis in study.axes]
    axes.append((SEED, {str(seed): dict.fromkeys(study.seeded, seed) for seed in study.seeds}))
    trials, names = [], None
    for labels in itertools.product(*(levels for _, levels in axes)):
        levels = {axis: label for (axis, _), label in zip(axes, labels, strict=True)}
        try:
            if not _kept(study, levels):
                continue
        except Exception as error:  # a predicate is the user's own program
            reason = f"cannot be asked of a trial ({error!r})"
            refuse_if([*found, Problem("keep", levels, reason, f"the axes are {', '.join(levels)}")])
        overrides: dict[str, Any] = {}
        for (_, settings), label in zip(axes, labels, strict=True):
            overrides |= settings[label]
        try:
            trial, settings = make_trial(common, levels, overrides, work, study.probes)
        except Refusal as refusal:
            found += refusal.problems
            continue
        trials.append(trial)
        own = work.names(settings, study.probes)
        names = own if names is None else names & own
    found += _twins(trials)
    if trials:
        found += _unknown_metrics(study, names or set())
        for number, analysis in enumerate(study.analyses):
            levels = [level for trial in trials for level in _suggested(study, trial.levels)]
            found += analysis.problems(f"analyses[{number}]", study.axis_names, names or set(), levels)
    elif not found:
        found.append(Problem("keep", None, "no trial is left", "keep at least one"))
    found += _search_problems(study, common, names or set())
    refuse_if(_unique(found))
    return tuple(trials)


def make_trial(
    config: dict, levels: Levels, overrides: Mapping[str, Any], work: Work, probes: Sequence[str] = ()
) -> tuple[Trial, Any]:
    """A trial and its settings. Raises Refusal for a setting that does not exist or cannot be used."""
    problems: list[Problem] = []
    changed = dotted.apply(config, overrides, problems)
    refuse_if(problems)
    settings = work.resolve(changed)
    value = work.to_dict(settings)
    own = work.identity(value, overrides)
    if probes:  # a result without their figures is not one of this trial
        own["probes"] = list(probes)
    return Trial(fingerprint(own), dict(levels), value), settings


def _suggested(study: Study, levels: Levels) -> list[Levels]:
    """Levels of the trials that a search will make of one that it starts from."""
    if study.search is None:
        return [levels]
    return [{**levels, study.search.name: str(number)} for number in range(study.search.trials + 1)]


def _kept(study: Study, levels: Levels) -> bool:
    if study.keep is None:
        return True
    if callable(study.keep):
        return bool(study.keep(levels))
    return any(all(levels[axis] == label for axis, label in wanted.items()) for wanted in study.keep)


def _malformed(study: Study) -> Iterable[Problem]:
    """Axes that are none."""
    for axis in study.axes:
        if not isinstance(axis.levels, Mapping):
            remedy = "give label -> settings, or use Axis.of(name, key, values)"
            yield Problem(f"axes.{axis.name}", axis.levels, "its levels are not a mapping", remedy)
            continue
        for label, settings in axis.levels.items():
            at = f"axes.{axis.name}.{label}"
            if not isinstance(label, str):
                yield Problem(at, label, f"a label of type {type(label).__name__} is no text", f"write {str(label)!r}")
            if not isinstance(settings, Mapping):
                remedy = "give dotted key -> value, e.g. {'model.width': 64}"
                yield Problem(at, settings, "the settings of a level are not a mapping", remedy)


def _misuses(study: Study) -> Iterable[Problem]:
    for field in ("title", "question", "expectation"):
        if not getattr(study, field).strip():
            yield Problem(field, None, "is empty", "say it in a sentence")
    if not study.metrics:
        yield Problem("metrics", None, "there is none", "name the figures that the study is about")
    if study.work not in WORKS:
        yield Problem("work", study.work, "is not a kind of work", f"use one of {WORKS}")
    if study.probes and study.work != TRAINING:
        yield Problem("probes", study.probes, "are taken of what was trained", "leave them out")
    for name in study.probes:
        if name not in metrics.PROBES:
            yield Problem("probes", name, "is not a probe", f"use some of {tuple(metrics.PROBES)}")
    if study.probes and study.search:
        yield Problem("probes", study.probes, "a search takes none", "leave one of them out")
    if not study.seeds:
        yield Problem("seeds", None, "there is none", "give at least one")
    if len(set(study.seeds)) < len(study.seeds):
        yield Problem("seeds", study.seeds, "one stands there twice", "give each once")
    names = study.axis_names
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield Problem(f"axes.{name}", None, "the name is taken", f"choose another name (every study has {SEED!r})")
    for axis in study.axes:
        if not axis.levels:
            yield Problem(f"axes.{axis.name}", None, "has no levels", "give it at least one, or leave it out")
    if study.keep is not None and not callable(study.keep):
        yield from _unknown_levels(study)


def _unknown_levels(study: Study) -> Iterable[Problem]:
    known = {axis.name: tuple(axis.levels) for axis in study.axes} | {SEED: tuple(map(str, study.seeds))}
    for number, wanted in enumerate(study.keep):
        for axis, label in wanted.items():
            if axis not in known:
                yield Problem(f"keep[{number}]", axis, "is not an axis", f"use one of {tuple(known)}")
            elif label not in known[axis]:
                yield Problem(f"keep[{number}].{axis}", label, "is not a level", f"use one of {known[axis]}")


def _conflicts(study: Study) -> Iterable[Problem]:
    """Settings that two axes want to set: one of them would be lost."""
    search = [Axis(study.search.name, {"": study.search.space})] if study.search else []
    axes = [*study.axes, *search, Axis(SEED, {"": dict.fromkeys(study.seeded)})]
    keys = [(axis.name, {key for settings in axis.levels.values() for key in settings}) for axis in axes]
    for (name, own), (other, others) in itertools.combinations(keys, 2):
        for key in sorted(own & others):
            yield Problem(f"axes.{name}", key, f"is also set by the axis {other!r}", "let one axis set it")


def _twins(trials: list[Trial]) -> Iterable[Problem]:
    first: dict[str, Trial] = {}
    for trial in trials:
        if trial.id in first:
            other = first[trial.id]
            yield Problem("axes", dict(trial.levels), f"has the same settings as {dict(other.levels)}", "leave one out")
        first.setdefault(trial.id, trial)


def _unknown_metrics(study: Study, names: set[str]) -> Iterable[Problem]:
    for name in study.metrics:
        if name not in names:
            yield unknown_metric("metrics", name, names)


def unknown_metric(where: str, name: str, names: Iterable[str]) -> Problem:
    near = difflib.get_close_matches(name, names, 1)
    remedy = f"did you mean {near[0]}?" if near else f"use some of {', '.join(sorted(names))}"
    return Problem(where, name, "is not a figure of every trial", remedy)


def _search_problems(study: Study, config: dict, names: set[str]) -> Iterable[Problem]:
    search = study.search
    if search is None:
        return
    if search.trials < 1:
        yield Problem("search.trials", search.trials, "is not positive", "give the number of suggestions")
    if not search.space:
        yield Problem("search.space", None, "is empty", "name at least one setting")
    if names and search.metric not in names:
        yield unknown_metric("search.metric", search.metric, names)
    for key, (low, high) in search.space.items():
        if not 0 < low < high:
            yield Problem(
                f"search.space.{key}", (low, high), "is no range of positive numbers", "give lowest and highest"
            )
    unknown: list[Problem] = []
    dotted.apply(config, dict.fromkeys(search.space), unknown)
    yield from unknown
    for key, (low, high) in search.space.items():
        if not unknown and not low <= dotted.value(config, key) <= high:
            reason = f"does not hold the base's own {dotted.value(config, key)}, which the search begins with"
            yield Problem(f"search.space.{key}", (low, high), reason, "widen the range, or move the base")


def _unique(problems: Iterable[Problem]) -> list[Problem]:
    """Each once: a setting that is wrong in the base is wrong in every trial."""
    return list({str(problem): problem for problem in problems}.values())
