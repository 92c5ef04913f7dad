"""A study: a question, the settings that are varied, and what is read from the runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mdm.problems import Problem, Refusal
from mdm.studies.analyses.analysis import Analysis
from mdm.studies.rows import SEED
from mdm.studies.work import TRAINING

Levels = Mapping[str, str]
"""Axis -> label of the level."""


@dataclasses.dataclass(frozen=True)
class Axis:
    """name; levels: label -> settings of that level, by dotted keys as in `--config.KEY=`."""

    name: str
    levels: Mapping[str, Mapping[str, Any]]

    @classmethod
    def of(cls, name: str, key: str, values: Sequence[Any]) -> Axis:
        """An axis over one setting; the labels are its values, floats with six digits unless that makes two of them one.

        Raises Refusal for a value that is given twice.
        """
        labels = [f"{value:g}" if isinstance(value, float) else str(value) for value in values]
        if len(set(labels)) < len(labels):
            labels = [str(value) for value in values]
        if len(set(labels)) < len(labels):
            raise Refusal(Problem(f"axes.{name}", tuple(values), "a value stands there twice", "give each once"))
        return cls(name, {label: {key: value} for label, value in zip(labels, values, strict=True)})


@dataclasses.dataclass(frozen=True)
class Search:
    """Settings that are searched, not crossed: so many suggestions for each trial of the product, beside that trial as it is.

    space: dotted key -> lowest and highest value, both positive; drawn log-uniformly
    metric: name of the figure to make small
    """

    name: str
    space: Mapping[str, tuple[float, float]]
    trials: int
    metric: str


@dataclasses.dataclass(frozen=True)
class Study:
    """title, question, expectation: for people; the last is what there is reason to expect, and from where
    conclusion: what came out, written by whoever read the figures; empty before. Its first sentence says whether that agrees
    base:      config file, or a function that makes the config
    axes:      crossed with each other and with `seeds`
    metrics:   figures of the table, names of `mdm.studies.metrics`
    overrides: settings of all trials, by dotted keys
    seeded:    settings that the seed of a trial is written to
    keep:      which trials of the product are run: a predicate of their levels, or a list of levels of which one must match
    analyses:  what is fitted and plotted, see `mdm.studies.analyses`
    search:    see `Search`
    work:      what a trial does, one of `mdm.studies.work.WORKS`
    probes:    measures that cost and are taken at the end of each trial, names of `mdm.studies.metrics.PROBES`
    """

    title: str
    question: str
    expectation: str
    base: str | Callable[[], Any]
    axes: tuple[Axis, ...]
    metrics: tuple[str, ...]
    overrides: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    seeds: tuple[int, ...] = (0,)
    seeded: tuple[str, ...] = ("training.seed",)
    keep: Callable[[Levels], bool] | Sequence[Levels] | None = None
    analyses: tuple[Analysis, ...] = ()
    search: Search | None = None
    work: str = TRAINING
    probes: tuple[str, ...] = ()
    conclusion: str = ""

    @property
    def axis_names(self) -> tuple[str, ...]:
        return (*(axis.name for axis in self.axes), *((self.search.name,) if self.search else ()), SEED)
