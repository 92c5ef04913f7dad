"""Multiple choice from a file of JSON lines: {"context": "...", "choices": ["...", "..."], "answer": 0}.

Each choice is scored as the continuation of its context; the likeliest is what the model answers. Alone and divided by its
length in bytes, since a longer text is less likely whatever it says. Where the best are equally likely, each gets its share.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging

from mdm.evaluation import statistics
from mdm.evaluation.continuations import TextScorer
from mdm.evaluation.result import device, versions
from mdm.fingerprint import file_digest
from mdm.problems import Problem, Refusal, collecting, refuse_if

MOST_CHOICES = 1000  # of one question
_MOST_TOLD = 20  # problems of one file


@dataclasses.dataclass(frozen=True)
class Question:
    """line: of its file, from 1."""

    context: str
    choices: tuple[str, ...]
    answer: int
    line: int


@dataclasses.dataclass(frozen=True)
class Choices:
    """The accuracy on one file.

    name, data: of the file, and the digest of its bytes
    accuracy, accuracy_by_length: by the likeliest choice, and by the likeliest a byte, each with its standard error over
                questions (None for a single one)
    chance:     what guessing gets
    nats:       mean -log p of the right choice
    cut:        choices whose context lost its beginning
    scoring, seeds: how texts were scored, and with which noise or orders
    """

    name: str
    data: str
    questions: int
    accuracy: float
    se_data: float | None
    accuracy_by_length: float
    by_length_se_data: float | None
    chance: float
    nats: float
    cut: int
    scoring: Mapping[str, Any]
    seeds: tuple[int, ...]
    seconds: float
    versions: Mapping[str, str]
    device: str

    def to_json(self) -> dict:
        """Plain values."""
        return {**dataclasses.asdict(self), "seeds": list(self.seeds)}


def read(path: Path) -> list[Question]:
    """The questions of a file. Raises Refusal naming every line that is none."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")  # and nowhere else: U+2028 may stand in a text
    except (OSError, ValueError) as error:
        raise Refusal(
            Problem(str(path), None, f"cannot be read ({error})", "check the path; it is UTF-8 text")
        ) from error
    found, problems = [], []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            found.append(_question(json.loads(line), number))
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            what = f"lacks {error}" if isinstance(error, KeyError) else str(error)
            problems.append(Problem(f"{path}: line {number}", line[:60], what, _FORM))
    if not found and not problems:
        problems = [Problem(str(path), None, "holds no question", _FORM)]
    left = len(problems) - _MOST_TOLD
    more = [Problem(str(path), None, f"{left} more lines are wrong", _FORM)] if left > 0 else []
    refuse_if(problems[:_MOST_TOLD] + more)
    return found


_FORM = 'a line is {"context": "...", "choices": ["...", "..."], "answer": 0}'


def _question(value: Any, line: int) -> Question:
    if not isinstance(value, dict):
        raise ValueError("is no JSON object")
    context, choices, answer = value["context"], value["choices"], value["answer"]
    if not isinstance(context, str):
        raise ValueError("its context is no text")
    if not isinstance(choices, list) or not all(isinstance(choice, str) and choice for choice in choices):
        raise ValueError("its choices are no list of texts")
    if not 2 <= len(choices) <= MOST_CHOICES:
        raise ValueError(f"it has {len(choices)} choices, not 2 to {MOST_CHOICES}")
    if isinstance(answer, bool) or not isinstance(answer, int) or not 0 <= answer < len(choices):
        raise ValueError(f"its answer {answer!r} is no index of its {len(choices)} choices")
    return Question(context, tuple(choices), answer, line)


def measure(scorer: TextScorer, parameters: Any, path: Path) -> Choices:
    """The accuracy on one file. Raises Refusal naming every line that cannot be used."""
    begun = time.monotonic()
    questions = read(path)
    rows, problems = [], []
    for question in questions:
        for choice in question.choices:
            with collecting(problems, f"{path}: line {question.line}"):
                rows.append(scorer.read(question.context, choice))
    refuse_if(problems[:_MOST_TOLD])
    scores = scorer.scores(parameters, rows)
    ends = np.cumsum([len(question.choices) for question in questions])
    own = [scores[end - len(question.choices) : end] for end, question in zip(ends, questions, strict=True)]
    nats = [np.array([score.nats for score in part]) for part in own]
    sizes = [np.array([len(choice.encode()) for choice in question.choices]) for question in questions]
    right = np.array([_share(n, q.answer) for n, q in zip(nats, questions, strict=True)])
    by_length = np.array([_share(n / s, q.answer) for n, s, q in zip(nats, sizes, questions, strict=True)])
    ones = np.ones(len(questions))
    accuracy, error = statistics.ratio(right, ones)
    accuracy_by_length, error_by_length = statistics.ratio(by_length, ones)
    logging.info("%s: %.3f right, %.3f by length, of %d", path.name, accuracy, accuracy_by_length, len(questions))
    return Choices(
        name=path.name,
        data=file_digest(path)[:16],
        questions=len(questions),
        accuracy=accuracy,
        se_data=error,
        accuracy_by_length=accuracy_by_length,
        by_length_se_data=error_by_length,
        chance=float(np.mean([1 / len(question.choices) for question in questions])),
        nats=float(np.mean([n[question.answer] for n, question in zip(nats, questions, strict=True)])),
        cut=sum(score.cut > 0 for score in scores),
        scoring=dataclasses.asdict(scorer.settings),
        seeds=scorer.settings.seeds,
        seconds=time.monotonic() - begun,
        versions=versions(),
        device=device(),
    )


def _share(nats: np.ndarray, answer: int) -> float:
    """1 if the answer is the likeliest alone, its share among the equally likely, else 0."""
    best = np.isclose(nats, nats.min(), rtol=1e-6, atol=0)
    return float(best[answer] / best.sum())
