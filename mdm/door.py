"""The Python door: what `mdm.load` returns. Media in, media out; the binaries are built on the same functions.

model = mdm.load("runs/demo/run")
picture = model.generate("text-to-image", text="red apple")[0]["image"]      # uint8 [H, W, 3]
model.score("text-to-image", [{"text": "red apple", "image": picture}])[0].bits
model.export("exported")                                                     # safetensors and a model card
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mdm import config, contents, export
from mdm.codecs.codec import Media
from mdm.data.extents import MOST_POSITIONS, extent_of
from mdm.data.prompts import MOST_RESULTS, MOST_SEED
from mdm.evaluation.batches import row_lengths
from mdm.evaluation.continuations import TextScore, TextScoring
from mdm.evaluation.document_scores import Difference, paired
from mdm.evaluation.documents import Example, content_number
from mdm.evaluation.result import Result
from mdm.evaluation.settings import EvaluationSettings
from mdm.evaluation.tables import Place, place
from mdm.problems import Problem, Refusal, refuse_if
from mdm.sampling.canvas import expected_tail
from mdm.sampling.defaults import DEFAULTS
from mdm.sampling.programs import merged
from mdm.sampling.settings import SamplerSettings
from mdm.tokens.tasks import TASK_NAMES, TASKS
from mdm.tokens.vocabulary import MODALITIES
from mdm.trained import TrainedModel


@dataclasses.dataclass(frozen=True)
class Score:
    """What the targets of one document cost: an upper bound of -log2 p, by modality.

    bits, se_noise: of all targets of a modality, and the standard error that other masks would show; tokens: that carry them,
    ENDs included
    """

    bits: Mapping[str, float]
    se_noise: Mapping[str, float]
    tokens: Mapping[str, int]


class Model:
    """A trained model with its codecs. `trained` is what stands behind it, for whoever wants codes and canvases."""

    def __init__(self, trained: TrainedModel):
        self.trained = trained

    @classmethod
    def load(cls, workdir: str, step: int | None, *, weights: str, attention: str | None) -> Model:
        """See `mdm.load`."""
        return cls(TrainedModel.load(workdir, step, weights, attention))

    @property
    def step(self) -> int:
        """Of the checkpoint."""
        return self.trained.step

    @property
    def tasks(self) -> tuple[str, ...]:
        """What the run was trained on."""
        return tuple(self.trained.spans)

    def generate(
        self,
        task: str,
        *,
        count: int = 1,
        seed: int = 0,
        length: int | Mapping[str, int] | None = None,
        keep: str | None = None,
        mask: np.ndarray | None = None,
        more: int | None = None,
        sampler: SamplerSettings | Mapping[str, object] | None = None,
        batch: int = 16,
        **given: Media,
    ) -> list[dict[str, Media]]:
        """`count` results of one task, each a medium by target modality.

        given:   text="...", image=uint8 [H, W, 3], audio=`mdm.codecs.codec.Sound`: the conditions; for infilling, the target too
        keep:    for a target that is given, which part of it stays, in shares of it: "0:0.5", "0:0.3,0.7:1", "0:1x0:0.5"
        mask:    [H, W] or [H, W, 3] of uint8, bool, or floats from 0 to 1, over a picture that is given: where it is bright, the
                 picture is made anew
        more:    tokens that may be written behind a text or sound that is given
        length:  tokens of a target of free length, or by modality where there are two; by default it ends where the model says so
        sampler: a whole `mdm.sampling.settings.SamplerSettings`, or those of its fields that differ from the task's defaults
        seed:    of the first; the others count on. The same seed makes the same media
        batch:   most results that are made at once
        Raises Refusal for an unknown task, a modality that it does not take or lacks, or impossible settings.
        """
        own = self._task(task)
        problems: list[Problem] = []
        settings = _settings(task, sampler, problems)
        problems += [] if problems else settings.problems("sampler", own)
        problems += [
            Problem(task, None, f"needs {modality}", f"give {modality}=...")
            for modality in own.conditions
            if modality not in given
        ]
        problems += [
            Problem(task, m, "is no part of it", f"it takes {sorted(own.modalities)}")
            for m in given
            if m not in own.modalities
        ]
        for name, value, least, most in (
            ("count", count, 1, MOST_RESULTS),
            ("seed", seed, 0, MOST_SEED - MOST_RESULTS),
            ("batch", batch, 1, MOST_RESULTS),
            ("more", 1 if more is None else more, 1, MOST_POSITIONS),
        ):
            if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
                problems.append(Problem(name, value, "is out of range", f"use a whole number from {least} to {most}"))
        extent = extent_of(own, given, f"{task}: ", problems, length=length, keep=keep, mask=mask, more=more)
        refuse_if(problems)
        seeds = range(seed, seed + count)
        requests = self.trained.requests(task, given, list(map(settings.room_seed, seeds)), extent)
        batches = self.trained.batches(requests, [task] * count, batch)
        made = merged([(one.numbers, self.trained.write(one, requests, settings, seeds)) for one in batches])
        return self.trained.decode_all(made.documents)

    def score(
        self, task: str, documents: Sequence[Mapping[str, Media]], *, samples: int = 32, repeats: int = 2, seed: int = 0
    ) -> list[Score]:
        """What the targets of each document cost under a task: the ELBO of `samples` mask counts for each of `repeats` seeds.

        The noise follows from the codes of a document, so that its score depends neither on its place nor on its neighbours.
        Raises Refusal for a task that is unknown or that the run was not trained on, for a document that lacks a modality, and
        for one that does not fit in a row.
        """
        own, network = self._task(task), self.trained
        refuse_if(network.task_problems(task))
        settings = EvaluationSettings(samples=samples, repeats=repeats, seed=seed)
        refuse_if(settings.problems("score"))
        examples = [self._example(own, number, document) for number, document in enumerate(documents)]
        row_length = network.settings.data.row_length
        refuse_if(
            Problem(
                f"document {number}",
                f"{example.positions} positions",
                f"is longer than a row of {row_length}",
                "shorten it",
            )
            for number, example in enumerate(examples)
            if example.positions > row_length
        )
        if not examples:
            return []
        lengths = row_lengths([example.positions for example in examples], row_length, multiple=network.fit.positions)
        found = network.scorer(samples).scores(
            network.parameters, examples, task, lengths, network.filled(settings.batch_rows), settings.seeds
        )
        bits = found.nats / math.log(2)
        return [
            Score(
                bits={m: float(bits[:, number, MODALITIES.index(m)].mean()) for m in own.targets},
                se_noise={
                    m: float(bits[:, number, MODALITIES.index(m)].std(ddof=1) / math.sqrt(repeats)) for m in own.targets
                },
                tokens={m: int(found.targets[number, MODALITIES.index(m)]) for m in own.targets},
            )
            for number in range(len(examples))
        ]

    def score_texts(self, pairs: Sequence[tuple[str, str]], scoring: TextScoring = TextScoring()) -> list[TextScore]:
        """How likely each text is behind its context, for (context, text) pairs. Raises Refusal for a run without text."""
        scorer = self.trained.text_scorer(scoring)
        return scorer.scores(self.trained.parameters, [scorer.read(*pair) for pair in pairs])

    def evaluate(self, data: str | None = None, settings: EvaluationSettings | None = None) -> list[Result]:
        """The likelihood of every task of the run on a prepared data set, by default its own; as `mdm.evaluate`.

        Raises Refusal for a data set that is not there or does not fit the run.
        """
        return self.trained.score(contents.data_set(self.trained.settings, data), settings)

    def compare(
        self, other: Model, data: str | None = None, settings: EvaluationSettings | None = None
    ) -> dict[Place, Difference]:
        """How far this model's bits lie above another's, by (split, stream, task, modality): over the same documents and noise.

        data, settings: as of `evaluate`, by default those of this model's run. Raises Refusal where the two share no document.
        """
        data = str(contents.data_set(self.trained.settings, data).directory)
        settings = settings or self.trained.settings.evaluation
        own, others = ({place(r): r.by_document for r in m.evaluate(data, settings)} for m in (self, other))
        return {at: paired(scores, others[at]) for at, scores in own.items() if at in others}

    def export(self, folder: str | Path) -> Path:
        """Writes the weights as safetensors, with settings, vocabulary, codecs and a model card; needs the extra `export`."""
        return export.write(self.trained, Path(folder))

    def _task(self, task: str):
        if task not in TASKS:
            raise Refusal(Problem("task", task, "is not a task", f"use one of {TASK_NAMES}"))
        return TASKS[task]

    def _example(self, task, number: int, document: Mapping[str, Media]) -> Example:
        lacking = [m for m in sorted(task.modalities) if m not in document]
        refuse_if(
            Problem(f"document {number}", tuple(document), f"lacks {m} of {task.name}", "give it") for m in lacking
        )
        codes = {m: self.trained.encode(m, document[m]) for m in sorted(task.modalities)}
        tails = {m: expected_tail(own.size, m) for m, own in codes.items()}
        return Example(content_number(codes), str(number), str(number), codes, tails)


def _settings(
    task: str, sampler: SamplerSettings | Mapping[str, object] | None, problems: list[Problem]
) -> SamplerSettings:
    if isinstance(sampler, SamplerSettings):
        sampler = dataclasses.asdict(sampler)
    if not isinstance(sampler, Mapping | None):
        remedy = "give SamplerSettings, or a mapping of its fields"
        problems.append(Problem("sampler", sampler, "is no settings of a sampler", remedy))
        return DEFAULTS[task]
    return config.changed(DEFAULTS[task], sampler or {}, "sampler", problems)


__all__ = ["Model", "Score"]
