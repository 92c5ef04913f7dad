"""How likely a text is behind another: what multiple choice and lm-evaluation-harness ask for.

A pair of context and continuation is one row of the task "text", laid out like a piece of a longer document, without ENDs. The
context is given; the continuation is what is masked. Both are encoded together, as training would, and what is scored begins
where the codes of the context alone end, or earlier, where a code spans the boundary. A pair that does not fit in a row loses
the beginning of its context.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from mdm.codecs.codec import Codec
from mdm.diffusion.chain_rule import ORDERS, RANDOM
from mdm.evaluation.batches import row_lengths
from mdm.evaluation.chain_rule import order_seeds
from mdm.evaluation.elbo import DenoiserFactory, Scorer
from mdm.evaluation.ordered import OrderScorer
from mdm.evaluation.settings import EvaluationSettings
from mdm.problems import Problem, Refusal
from mdm.sampling.settings import SamplerSettings
from mdm.tokens.hashing import mix, text_key
from mdm.tokens.rows import FIXED, Row, Segment, build_row
from mdm.tokens.tasks import TASKS
from mdm.tokens.vocabulary import MODALITIES, Vocabulary

TASK = "text"
ELBO = "elbo"
METHODS = (ELBO, *ORDERS)
_SPECIALS = 2  # the task token and the begin token of a row


@dataclasses.dataclass(frozen=True)
class TextScoring:
    """method: "elbo", or the name of an order for the chain rule; samples: mask counts (of the ELBO); repeats: seeds of the ELBO,
    or random orders, over which a score is the mean; batch_rows: pairs scored at once, which changes no figure"""

    method: str = ELBO
    samples: int = 32
    repeats: int = 1
    batch_rows: int = 16
    seed: int = 0

    def problems(self, at: str) -> list[Problem]:
        found = []
        if self.method not in METHODS:
            found.append(Problem(f"{at}.method", self.method, "is no way to score a text", f"use one of {METHODS}"))
        for key in ("samples", "repeats", "batch_rows"):
            if getattr(self, key) < 1:
                found.append(Problem(f"{at}.{key}", getattr(self, key), "below 1", "use 1 or more"))
        if self.repeats > 1 and self.method in ORDERS and self.method != RANDOM:
            reason = f"every time the order {self.method!r} is the same"
            found.append(Problem(f"{at}.repeats", self.repeats, reason, "use 1"))
        return found

    @property
    def seeds(self) -> tuple[int, ...]:
        """One for each repeat."""
        if self.method == ELBO:
            return EvaluationSettings(seed=self.seed, repeats=self.repeats).seeds
        return order_seeds(self.seed, self.repeats)


@dataclasses.dataclass(frozen=True, eq=False)
class Continuation:
    """A row to be scored; stands where `documents.Example` does.

    number: key of its noise; codes: of context and continuation; start: where the continuation begins; cut: codes of the context
    that were left out
    """

    number: int
    codes: np.ndarray
    start: int
    cut: int

    @property
    def positions(self) -> int:
        return self.codes.size + _SPECIALS

    def row(self, task: str, vocabulary: Vocabulary, length: int) -> Row:
        row = build_row([Segment({"text": self.codes}, TASKS[task], {"text": 0})], vocabulary, length)
        row.roles[: _SPECIALS + self.start] = FIXED
        return row


@dataclasses.dataclass(frozen=True)
class WrittenText:
    """What was written behind a context.

    cut:  codes of the context, from its beginning, for which the row had no room
    room: codes that could be written, at most as many as were asked for
    sampler, seed: by which it was written
    """

    text: str
    cut: int
    room: int
    sampler: SamplerSettings
    seed: int


def shared_room(context: int, wanted: int, row_length: int) -> tuple[int, int]:
    """How many codes of a context are kept, and how many can be written behind it.

    All of both, if they fit in a row. Else the context keeps what the wanted ones leave, and at least half of the row; what is
    written has the rest, and at least one code.
    """
    room = row_length - _SPECIALS
    kept = min(context, max(room - wanted, room // 2))
    return kept, min(wanted, room - kept)


@dataclasses.dataclass(frozen=True)
class TextScore:
    """nats: -log p of the continuation, or its bound; tokens: codes that were scored; cut: codes of the context that did not fit;
    likeliest: whether each code was the likeliest one when its turn came; None by the ELBO, which knows no turns"""

    nats: float
    tokens: int
    cut: int
    likeliest: bool | None


def continuation(codec: Codec, context: str, text: str, row_length: int) -> Continuation:
    """The row of a pair. Raises Refusal for an empty continuation, and for one that alone is longer than a row."""
    if not text:
        raise Refusal(Problem("continuation", text, "is empty", "give some text behind the context"))
    whole = codec.encode([context + text])[0]
    before = codec.encode([context])[0] if context else whole[:0]
    same = whole[: before.size] == before[: whole.size]
    start = min(int(np.argmin(same)) if not same.all() else before.size, whole.size - 1)
    cut = max(0, whole.size + _SPECIALS - row_length)
    if cut > start:
        reason = f"takes {whole.size - start} positions, and a row has {row_length - _SPECIALS}"
        raise Refusal(Problem("continuation", text[:40], reason, "shorten it, or use a run of longer rows"))
    return Continuation(_number(context), whole[cut:], start - cut, cut)


def _number(context: str) -> int:
    """Key of the noise: all continuations of a context share theirs, so that much of it cancels when they are compared."""
    return int(mix(text_key(context)))


class TextScorer:
    """Scores texts with any parameters of one network; a score depends on nothing but its pair.

    multiple: as of `mdm.evaluation.material.Material`
    """

    def __init__(
        self,
        network: DenoiserFactory,
        codec: Codec,
        row_length: int,
        settings: TextScoring = TextScoring(),
        multiple: int = 1,
    ):
        self.settings, self._codec = settings, codec
        self._row_length, self._multiple = row_length, multiple
        self._elbo, self._ordered = Scorer(network, settings.samples), OrderScorer(network)

    def read(self, context: str, text: str) -> Continuation:
        """Raises Refusal as `continuation`."""
        return continuation(self._codec, context, text, self._row_length)

    def pieces(self, text: str) -> list[Continuation]:
        """A text of any length, alone: cut like a long document into rows, which do not see each other."""
        codes, most = self._codec.encode([text])[0], self._row_length - _SPECIALS
        parts = [codes[at : at + most] for at in range(0, codes.size, most)]
        return [Continuation(_number(f"{number} {text}"), part, 0, 0) for number, part in enumerate(parts)]

    def scores(self, parameters: Any, rows: Sequence[Continuation]) -> list[TextScore]:
        """Of each row, in their order: the mean over the repeats."""
        if not rows:
            return []
        settings = self.settings
        lengths = row_lengths([row.positions for row in rows], self._row_length, multiple=self._multiple)
        if settings.method == ELBO:
            found = self._elbo.scores(parameters, rows, TASK, lengths, settings.batch_rows, settings.seeds)
            likeliest = [None] * len(rows)
        else:
            found, every = self._ordered.scores(
                parameters, rows, TASK, lengths, settings.batch_rows, settings.method, settings.seeds
            )
            likeliest = [bool(own) for own in every.all(axis=0)]
        own = MODALITIES.index("text")
        return [
            TextScore(float(nats), int(targets), row.cut, hit)
            for nats, targets, row, hit in zip(
                found.nats[:, :, own].mean(axis=0), found.targets[:, own], rows, likeliest, strict=True
            )
        ]
