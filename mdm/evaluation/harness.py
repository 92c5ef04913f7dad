"""The tasks of lm-evaluation-harness (extra `lm-eval`), its own and local task files: an adapter that scores and writes text.

What the harness calls log-likelihood is that of `mdm.evaluation.continuations`; by the ELBO it is a lower bound, and by the
chain rule that of one order. "Greedy" is meant left to right, so only the order "forward" can tell: elsewhere it is False, and
metrics that are made of it (the accuracy of LAMBADA) are worth nothing there.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import importlib.util
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mdm.evaluation.continuations import Continuation, TextScore
from mdm.evaluation.result import device, versions
from mdm.problems import Problem, Refusal

MOST_WRITTEN = 256  # tokens, where a task does not say


@dataclasses.dataclass(frozen=True)
class HarnessSettings:
    """tasks: names; folder: where local task files lie, if any; limit: at most so many documents of each (0: all)"""

    tasks: tuple[str, ...]
    folder: str | None = None
    limit: int = 0


@dataclasses.dataclass(frozen=True)
class HarnessFigure:
    """One metric of one task. name: of both; documents: that were scored; data: version of the task; scoring: how."""

    name: str
    task: str
    metric: str
    value: float
    se_data: float | None
    documents: int
    data: str
    scoring: Mapping[str, Any]
    seconds: float
    versions: Mapping[str, str]
    device: str

    def to_json(self) -> dict:
        """Plain values."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class TextModel:
    """What the harness asks of a model.

    read:   (context, continuation) -> row; pieces: text -> rows; score: rows -> scores
    write:  (contexts, most tokens) -> what is written behind each
    """

    read: Callable[[str, str], Continuation]
    pieces: Callable[[str], Sequence[Continuation]]
    score: Callable[[Sequence[Continuation]], Sequence[TextScore]]
    write: Callable[[Sequence[str], int], Sequence[str]]


def require() -> None:
    """Raises Refusal, naming the extra, without the package."""
    if importlib.util.find_spec("lm_eval") is None:
        raise Refusal(Problem("--harness", None, "the package lm-eval is not installed", "pip install 'mdm[lm-eval]'"))


def adapter(model: TextModel) -> Any:
    """`model` as an `lm_eval.api.model.LM`."""
    require()
    from lm_eval.api.model import LM

    class Adapter(LM):
        def loglikelihood(self, requests: Sequence[Any]) -> list[tuple[float, bool]]:
            scores = model.score([model.read(*request.args) for request in requests])
            return [(-score.nats, bool(score.likeliest)) for score in scores]

        def loglikelihood_rolling(self, requests: Sequence[Any]) -> list[float]:
            pieces = [model.pieces(request.args[0]) for request in requests]
            scores = iter(model.score([piece for own in pieces for piece in own]))
            return [-sum(next(scores).nats for _ in own) for own in pieces]

        def generate_until(self, requests: Sequence[Any]) -> list[str]:
            written: list[str] = [""] * len(requests)
            by_length: dict[int, list[int]] = {}
            for number, request in enumerate(requests):
                by_length.setdefault(int(_said(request.args[1], "max_gen_toks", MOST_WRITTEN)), []).append(number)
            for most, own in by_length.items():
                texts = model.write([requests[number].args[0] for number in own], most)
                for number, text in zip(own, texts, strict=True):
                    written[number] = _until(text, _said(requests[number].args[1], "until", []))
            return written

    return Adapter()


def _said(arguments: Mapping[str, Any], key: str, otherwise: Any) -> Any:
    return arguments[key] if key in arguments else otherwise


def _until(text: str, stops: str | Sequence[str]) -> str:
    """`text` before the first of the stops."""
    ends = [text.find(stop) for stop in ([stops] if isinstance(stops, str) else stops) if stop]
    return text[: min((end for end in ends if end >= 0), default=len(text))]


def measure(model: TextModel, settings: HarnessSettings, scoring: Mapping[str, Any]) -> list[HarnessFigure]:
    """All metrics of all tasks. Raises Refusal without the package, and for a task that it does not know or cannot run."""
    require()
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    begun = time.monotonic()
    try:
        found = simple_evaluate(
            model=adapter(model),
            tasks=list(settings.tasks),
            task_manager=TaskManager(include_path=settings.folder),
            limit=settings.limit or None,
            bootstrap_iters=1000,
            log_samples=False,
        )
    except Refusal:
        raise
    except Exception as error:  # the harness raises anything for a task file that it cannot use
        reason = f"lm-evaluation-harness refused them ({type(error).__name__}: {error})"
        remedy = "check the names, the task files in --harness_tasks, and that their data are on this machine"
        raise Refusal(Problem("--harness", settings.tasks, reason, remedy)) from error
    made = {"scoring": dict(scoring), "seconds": time.monotonic() - begun, "device": device()}
    made["versions"] = versions() | {"lm-eval": importlib.metadata.version("lm_eval")}
    return [
        HarnessFigure(
            name=f"{task}/{metric}",
            task=task,
            metric=metric,
            value=float(value),
            se_data=_number(own, f"{metric}_stderr,{kind}"),
            documents=found["n-samples"][task]["effective"],
            data=str(found["versions"][task]),
            **made,
        )
        for task, own in found["results"].items()
        if task in found["n-samples"]  # a group has none of its own
        for key, value in own.items()
        for metric, _, kind in [key.partition(",")]
        if kind and not metric.endswith("_stderr") and isinstance(value, int | float)
    ]


def _number(values: Mapping[str, Any], key: str) -> float | None:
    """The harness writes "N/A" for an error that it cannot tell."""
    return float(values[key]) if key in values and isinstance(values[key], int | float) else None
