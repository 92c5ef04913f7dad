"""A trained model, read back from its run folder: all that is needed to generate and to score, on any machine."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Mapping, Sequence

import jax
import numpy as np

from mdm import config
from mdm.codecs import registry
from mdm.codecs.codec import Codec, Media
from mdm.data.manifest import Manifest
from mdm.data.spans import SpanLength
from mdm.evaluation.result import Result
from mdm.evaluation.settings import EvaluationSettings
from mdm.evaluation.task import evaluate
from mdm.model.network import Network, Parameters
from mdm.problems import Problem, Refusal, collecting, refuse_if
from mdm.runs.checkpoint import CheckpointReader
from mdm.runs.folder import RunFolder
from mdm.sampling.batches import Batch, plan_batches
from mdm.sampling.canvas import (
    Canvas,
    Layout,
    Request,
    build_canvas,
    expected_tail,
    layout_of,
    read_canvas,
    read_turns,
    trim_canvas,
)
from mdm.sampling.grids import TRAINED
from mdm.sampling.sampler import sample
from mdm.sampling.settings import SamplerSettings
from mdm.sampling.steps import Calls
from mdm.tokens.rows import Document
from mdm.tokens.tasks import TASK_NAMES, TASKS
from mdm.tokens.vocabulary import ENDING, Vocabulary


@dataclasses.dataclass(frozen=True, eq=False)
class Sampled:
    """A batch that was written. Lists follow `Batch.numbers`.

    documents: codes of every target
    turns:     in their shapes, when each was written (see `mdm.sampling.sampler.Written`)
    sampler:   as it was used, with the grid that "trained" stood for
    calls:     network calls
    compiling: seconds that it took to make the program, or to find that it was made; seconds: of all that came after
    """

    documents: list[Document]
    turns: list[Document]
    sampler: SamplerSettings
    calls: Calls
    compiling: float
    seconds: float


@dataclasses.dataclass(frozen=True, eq=False)
class TrainedModel:
    """Parameters of one step, with the network, the codecs and the settings they belong to."""

    settings: config.Settings
    network: Network
    parameters: Parameters
    codecs: Mapping[str, Codec]
    spans: Mapping[str, Mapping[str, SpanLength]]
    step: int

    @classmethod
    def load(cls, workdir: str, step: int | None = None, parameters: str = "ema") -> TrainedModel:
        """Reads a run folder: its newest whole step, or `step`. Raises Refusal naming what is missing or damaged."""
        folder = RunFolder(workdir)
        settings = config.from_dict(folder.read_json(folder.config), str(folder.config))
        vocabulary = Vocabulary.from_json(folder.read_json(folder.vocabulary), str(folder.vocabulary))
        network = Network(settings.model, vocabulary)
        reader = CheckpointReader(folder.checkpoints)
        if step is not None and step not in reader.steps():
            raise Refusal(
                Problem(
                    str(folder.checkpoints), step, f"is no whole step; there are {reader.steps()}", "use one of them"
                )
            )
        step = reader.latest() if step is None else step
        if step is None:
            raise Refusal(
                Problem(str(folder.checkpoints), None, "holds no whole checkpoint", "train first, or check the path")
            )
        values = reader.restore_parameters(step, network.abstract_parameters(), parameters)
        codecs = {path.name: registry.load(path) for path in sorted(folder.codecs.iterdir()) if path.is_dir()}
        spans = {
            task: {modality: SpanLength(**own) for modality, own in by_modality.items()}
            for task, by_modality in folder.read_json(folder.spans).items()
        }
        return cls(settings, network, values, codecs, spans, step)

    def encode(self, modality: str, media: Media) -> np.ndarray:
        """Codes of one medium."""
        return self._codec(modality).encode([media])[0]

    def request(
        self,
        task: str,
        given: Mapping[str, Media],
        lengths: Mapping[str, int] | None = None,
        known: Mapping[str, tuple[float, float]] | None = None,
    ) -> Request:
        """A request from media.

        given:   the conditions, and any target of which a part is known
        lengths: content positions of a target of free length; otherwise what the training data suggest, with room to end
        known:   for a target in `given`, the part that is kept, from and to as shares of its first dim
        Raises Refusal as `task_problems` says, and for media that their codec does not take.
        """
        refuse_if(self.task_problems(task))
        codes = {modality: self.encode(modality, media) for modality, media in given.items()}
        shapes = {m: self._shape(task, m, codes, lengths or {}) for m in TASKS[task].targets if m not in codes}
        parts = {m: _part(codes[m], start, stop) for m, (start, stop) in (known or {}).items()}
        return Request(task, codes, shapes, parts)

    def task_problems(self, task: str) -> list[Problem]:
        """Why this run cannot do a task: there is no such task, a codec is missing, or it was not trained on it."""
        if task not in TASKS:
            return [Problem("--task", task, "is not a task", f"use one of {TASK_NAMES}")]
        found = []
        for modality in sorted(TASKS[task].modalities):
            with collecting(found, f"--task={task}"):
                self._codec(modality)
        if task not in self.spans:
            reason = f"this run was not trained on it; it knows {tuple(self.spans)}"
            found.append(Problem("--task", task, reason, "use one of them"))
        return found

    def generate(self, requests: Sequence[Request], sampler: SamplerSettings, seeds: Sequence[int]) -> list[Document]:
        """Codes of every target of every request. All requests are written in one batch; a seed a request."""
        return self.generate_counted(requests, sampler, seeds)[0]

    def generate_counted(
        self, requests: Sequence[Request], sampler: SamplerSettings, seeds: Sequence[int]
    ) -> tuple[list[Document], Calls]:
        """As `generate`, with the network calls that it took."""
        canvas = trim_canvas(build_canvas(requests, self.network.vocabulary, self.settings.data.row_length))
        whole = Batch(tuple(range(len(requests))), canvas, layout_of(canvas, self.network.vocabulary))
        sampled = self.write(whole, requests, sampler, seeds)
        return sampled.documents, sampled.calls

    def batches(self, requests: Sequence[Request], names: Sequence[str], most: int) -> list[Batch]:
        """The requests in batches of at most `most` for `write`; names: what each is called in a refusal."""
        return plan_batches(requests, names, self.network.vocabulary, self.settings.data.row_length, most)

    def write(
        self, batch: Batch, requests: Sequence[Request], sampler: SamplerSettings, seeds: Sequence[int]
    ) -> Sampled:
        """Writes one of the batches that `requests` were put into; seeds: of every request."""
        requests, vocabulary = [requests[number] for number in batch.numbers], self.network.vocabulary
        sampler = self._on_schedule(sampler, requests)
        own = np.array([seeds[batch.numbers[row]] for row in batch.rows], np.uint32)
        begun = time.perf_counter()
        shapes = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), batch.canvas)
        run = self._program(sampler, batch.layout, shapes)
        compiled = time.perf_counter()
        written = jax.device_get(run(self.parameters, batch.canvas, own))
        done = time.perf_counter()
        documents = read_canvas(written.canvas, requests, vocabulary)
        few = jax.tree.map(lambda a: a[: len(requests)], written.canvas)
        turns = read_turns(few, written.turns[: len(requests)], documents, vocabulary)
        return Sampled(documents, turns, sampler, written.calls, compiled - begun, done - compiled)

    def score(self, data: Manifest, settings: EvaluationSettings | None = None) -> list[Result]:
        """The likelihood of every task of the run on a data set. settings: instead of the run's own.

        Raises Refusal for data of another vocabulary, and as `mdm.evaluation.task.evaluate`.
        """
        if data.vocabulary != self.network.vocabulary:
            raise Refusal(
                Problem(str(data.directory), data.vocabulary.fingerprint, "was prepared with another vocabulary than the run's",
                        "give the run's own data set with --data")
            )  # fmt: skip
        own, text = self.settings, self.codecs["text"] if "text" in self.codecs else None
        return evaluate(
            self.network, self.parameters, data, settings or own.evaluation, own.data.row_length, own.data.streams,
            bytes_of=text and (lambda codes: len(text.decode([codes])[0].encode())),
        )  # fmt: skip

    def decode(self, document: Document) -> dict[str, Media]:
        """Media of codes."""
        return self.decode_all([document])[0]

    def decode_all(self, documents: Sequence[Document]) -> list[dict[str, Media]]:
        """Media of the codes of each document; codecs decode many faster together."""
        found: list[dict[str, Media]] = [{} for _ in documents]
        for modality in dict.fromkeys(m for document in documents for m in document):
            own = [n for n, document in enumerate(documents) if modality in document]
            media = self._codec(modality).decode([documents[n][modality] for n in own])
            for number, medium in zip(own, media, strict=True):
                found[number][modality] = medium
        return found

    def _on_schedule(self, sampler: SamplerSettings, requests: Sequence[Request]) -> SamplerSettings:
        names = {self.settings.corruption.trained_on(r.task) for r in requests if r.task in TASKS}
        if sampler.grid == TRAINED and len(names) > 1:
            reason = f"these tasks were trained on several schedules, {sorted(names)}"
            raise Refusal(Problem("sampler.grid", TRAINED, reason, "sample each task by itself, or name a grid"))
        return sampler.on_schedule(*names) if names else sampler

    @functools.lru_cache(maxsize=16)  # noqa: B019 - a model lives as long as the process
    def _program(self, sampler: SamplerSettings, layout: Layout, shapes: Canvas) -> jax.stages.Compiled:
        def write(parameters, canvas, seeds):
            return sample(self.network.bind(parameters), canvas, self.network.vocabulary, sampler, seeds, layout)

        seeds = jax.ShapeDtypeStruct(shapes.masked.shape[:1], np.uint32)
        return jax.jit(write).lower(self.parameters, shapes, seeds).compile()

    def _codec(self, modality: str) -> Codec:
        if modality not in self.codecs:
            raise Refusal(
                Problem("codecs", modality, f"this run has codecs for {tuple(self.codecs)} only", "use another run")
            )
        return self.codecs[modality]

    def _shape(self, task: str, modality: str, codes: Document, lengths: Mapping[str, int]) -> tuple[int, ...]:
        codec = self._codec(modality)
        if modality not in ENDING:
            return codec.grid
        books = len(codec.codebooks)
        if modality in lengths:
            content = lengths[modality]
        else:
            content = self.spans[task][modality].of(sum(codes[m].size for m in TASKS[task].conditions))
            # A stream that splits its documents has longer ones than a row; its pieces fill rows, without a tail.
            given = sum(own.size for own in codes.values())
            room = self.settings.data.row_length - 1 - len(TASKS[task].modalities) - given
            content = max(1, min(content + expected_tail(content, modality), room))
        return (content,) if modality == "text" else (-(-content // books), books)


def _part(codes: np.ndarray, start: float, stop: float) -> np.ndarray:
    """Which codes lie between two shares of the first dim."""
    known = np.zeros(codes.shape, bool)
    known[round(start * len(codes)) : round(stop * len(codes))] = True
    return known
