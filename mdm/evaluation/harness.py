"""The tasks of lm-evaluation-harness (extra `lm-eval`), its own and local task files: an adapter that scores and writes text.

What the harness calls log-likelihood is that of `mdm.evaluation.continuations`; by the ELBO it is a lower bound, and by the
chain rule that of one order. "Greedy" is meant left to right, so only the order "forward" can tell: elsewhere it is False, and
metrics that are made of it (the accuracy of LAMBADA) are worth nothing there.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata
import importlib.util
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from absl import logging

from mdm.evaluation.continuations import Continuation, TextScore, TextScoring, WrittenText
from mdm.evaluation.incomplete import refuse_missing
from mdm.evaluation.result import device, versions
from mdm.problems import Problem, Refusal
from mdm.sampling.settings import SamplerSettings

MOST_WRITTEN = 256  # tokens, where a task does not say


@dataclasses.dataclass(frozen=True)
class HarnessSettings:
    """tasks: names, of groups too; folder: where local task files lie, if any"""

    tasks: tuple[str, ...]
    folder: str | None = None


@dataclasses.dataclass(frozen=True)
class HarnessFigure:
    """One metric of one task.

    name:      of task, metric and, where the task has one, the filter through which answers were read
    documents: that were scored; data: version of the task; scoring: fields of `TextScoring`, how texts were scored
    requests:  texts that were scored or written; cut: those whose context lost its beginning, and cut_codes how much of it in all
    seeds:     of the noise or the orders of scores, or of the answers that were written
    sampler:   by which answers were written; shortened: those for which a row had less room than the task asks for. None and 0
               for a task that has none written
    """

    name: str
    task: str
    metric: str
    filter: str
    value: float
    se_data: float | None
    documents: int
    data: str
    scoring: Mapping[str, Any]
    requests: int
    cut: int
    cut_codes: int
    sampler: Mapping[str, Any] | None
    seeds: tuple[int, ...]
    shortened: int
    seconds: float
    versions: Mapping[str, str]
    device: str

    def to_json(self) -> dict:
        """Plain values."""
        return {**dataclasses.asdict(self), "seeds": list(self.seeds)}


@dataclasses.dataclass(frozen=True)
class TextModel:
    """What the harness asks of a model.

    read:   (context, continuation) -> row; pieces: text -> rows; score: rows -> scores
    write:  (contexts, most tokens) -> what is written behind each
    """

    read: Callable[[str, str], Continuation]
    pieces: Callable[[str], Sequence[Continuation]]
    score: Callable[[Sequence[Continuation]], Sequence[TextScore]]
    write: Callable[[Sequence[str], int], Sequence[WrittenText]]


def require() -> None:
    """Raises Refusal, naming the extra, without the package."""
    if importlib.util.find_spec("lm_eval") is None:
        raise Refusal(Problem("--harness", None, "the package lm-eval is not installed", "pip install 'mdm[lm-eval]'"))


class Tally:
    """What a model was asked by one task. failure: what it raised, if anything: that is no fault of the task's."""

    def __init__(self):
        self.requests = self.cut = self.cut_codes = self.shortened = 0
        self.scores = False
        self.samplers: dict[SamplerSettings, None] = {}
        self.seeds: dict[int, None] = {}
        self.failure: Exception | None = None

    @contextlib.contextmanager
    def own(self) -> Iterator[None]:
        """Around what is the model's and not the harness's."""
        try:
            yield
        except Exception as error:
            self.failure = error
            raise

    def scored(self, scores: Sequence[TextScore]) -> None:
        self.scores = True
        self._seen(scores)

    def written(self, texts: Sequence[WrittenText], most: int) -> None:
        self._seen(texts)
        self.shortened += sum(text.room < most for text in texts)
        self.samplers.update(dict.fromkeys(text.sampler for text in texts))
        self.seeds.update(dict.fromkeys(text.seed for text in texts))

    def _seen(self, texts: Sequence[TextScore | WrittenText]) -> None:
        self.requests += len(texts)
        self.cut += sum(text.cut > 0 for text in texts)
        self.cut_codes += sum(text.cut for text in texts)

    def figures(self, scoring: TextScoring) -> dict[str, Any]:
        """Fields of `HarnessFigure`."""
        seeds = (*(scoring.seeds if self.scores else ()), *self.seeds)
        sampler = [dataclasses.asdict(one) for one in self.samplers]  # one: all texts of a task are written alike
        return {"requests": self.requests, "cut": self.cut, "cut_codes": self.cut_codes, "shortened": self.shortened,
                "sampler": sampler[0] if sampler else None, "seeds": seeds}  # fmt: skip


def adapter(model: TextModel, tally: Tally) -> Any:
    """`model` as an `lm_eval.api.model.LM`; tally: is told of all that it is asked."""
    require()
    from lm_eval.api.model import LM

    class Adapter(LM):
        def loglikelihood(self, requests: Sequence[Any]) -> list[tuple[float, bool]]:
            with tally.own():
                scores = model.score([model.read(*request.args) for request in requests])
            tally.scored(scores)
            return [(-score.nats, bool(score.likeliest)) for score in scores]

        def loglikelihood_rolling(self, requests: Sequence[Any]) -> list[float]:
            with tally.own():
                pieces = [model.pieces(request.args[0]) for request in requests]
                found = model.score([piece for own in pieces for piece in own])
            tally.scored(found)
            scores = iter(found)
            return [-sum(next(scores).nats for _ in own) for own in pieces]

        def generate_until(self, requests: Sequence[Any]) -> list[str]:
            written: list[str] = [""] * len(requests)
            by_length: dict[int, list[int]] = {}
            for number, request in enumerate(requests):
                by_length.setdefault(int(_said(request.args[1], "max_gen_toks", MOST_WRITTEN)), []).append(number)
            for most, own in by_length.items():
                with tally.own():
                    texts = model.write([requests[number].args[0] for number in own], most)
                tally.written(texts, most)
                for number, text in zip(own, texts, strict=True):
                    written[number] = _until(text.text, _said(requests[number].args[1], "until", []))
            return written

    return Adapter()


def _said(arguments: Mapping[str, Any], key: str, otherwise: Any) -> Any:
    return arguments[key] if key in arguments else otherwise


def _until(text: str, stops: str | Sequence[str]) -> str:
    """`text` before the first of the stops."""
    ends = [text.find(stop) for stop in ([stops] if isinstance(stops, str) else stops) if stop]
    return text[: min((end for end in ends if end >= 0), default=len(text))]


def measure(model: TextModel, settings: HarnessSettings, scoring: Mapping[str, Any]) -> list[HarnessFigure]:
    """All metrics of all tasks, a task at a time. scoring: fields of the `TextScoring` by which `model` scores.

    Raises Refusal without the package, and Incomplete, with the figures of the other tasks, for names that the harness does not
    know and for task files that it cannot use; Refusal if there are no others. What the model raises is not caught, but for a
    Refusal, which costs its task only.
    """
    require()
    from lm_eval.tasks import TaskManager

    problems: list[Problem] = []
    manager = _harness("--harness_tasks", settings.folder, lambda: TaskManager(include_path=settings.folder), problems)
    tasks: dict[str, Any] = {}
    figures: list[HarnessFigure] = []
    for name in settings.tasks if manager else ():
        found = _harness("--harness", name, lambda name=name: manager.load([name]), problems)
        tasks |= found["tasks"] if found else {}
    for name, task in tasks.items():
        figures += _task(model, name, task, manager, scoring, problems)
    told = {figure.task for figure in figures}
    refuse_missing(problems, figures, [name for name in dict.fromkeys([*settings.tasks, *tasks]) if name not in told])
    return figures


def _harness(where: str, value: Any, call: Callable[[], Any], problems: list[Problem]) -> Any:
    """What a call gives that runs the harness's code and task files alone; None, and a problem more, if it raises anything."""
    try:
        return call()
    except MemoryError:
        raise
    except (
        Exception
    ) as error:  # of many kinds: KeyError for a name, those of YAML, Jinja, data sets and a task's own code
        reason = f"lm-evaluation-harness refused it ({type(error).__name__}: {error})"
        remedy = "check the name, the task file in --harness_tasks, and that its data are on this machine"
        problems.append(Problem(where, value, reason, remedy))
        return None


def _task(
    model: TextModel, name: str, task: Any, manager: Any, scoring: Mapping[str, Any], problems: list[Problem]
) -> list[HarnessFigure]:
    from lm_eval import simple_evaluate

    begun, tally = time.monotonic(), Tally()

    def call() -> Any:
        return simple_evaluate(
            model=adapter(model, tally), tasks=[task], task_manager=manager, bootstrap_iters=1000, log_samples=False
        )

    own: list[Problem] = []
    found = _harness("--harness", name, call, own)
    if isinstance(tally.failure, Refusal):
        own = list(tally.failure.inside(f"--harness={name}").problems)
    elif tally.failure is not None:
        raise tally.failure
    problems += own
    if tally.cut or tally.shortened:
        logging.warning("%s: of %d texts, %d lost the beginning of their context (%d codes), and %d had less room than asked for",
                        name, tally.requests, tally.cut, tally.cut_codes, tally.shortened)  # fmt: skip
    return [] if own else _figures(found, name, tally, scoring, time.monotonic() - begun)


def _figures(found: Any, task: str, tally: Tally, scoring: Mapping[str, Any], seconds: float) -> list[HarnessFigure]:
    """Of what the harness says of one task. Its keys are "METRIC,FILTER"; the filter of a task that has none is "none"."""
    own = found["results"][task]
    return [
        HarnessFigure(
            name="/".join([task, metric, *([] if through == "none" else [through])]),
            task=task,
            metric=metric,
            filter=through,
            value=float(value),
            se_data=_number(own, f"{metric}_stderr,{through}"),
            documents=found["n-samples"][task]["effective"],
            data=str(found["versions"][task]),
            scoring=dict(scoring),
            seconds=seconds,
            versions=versions() | {"lm-eval": importlib.metadata.version("lm_eval")},
            device=device(),
            **tally.figures(TextScoring(**scoring)),
        )
        for key, value in own.items()
        for metric, _, through in [key.partition(",")]
        if through and not metric.endswith("_stderr") and isinstance(value, int | float)
    ]


def _number(values: Mapping[str, Any], key: str) -> float | None:
    """The harness writes "N/A" for an error that it cannot tell."""
    return float(values[key]) if key in values and isinstance(values[key], int | float) else None
