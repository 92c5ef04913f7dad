"""A trained model, read back from its run folder: all that is needed to generate and to score, on any machine.

What a machine is like is decided here and not by the run: the devices, the mesh over them, and the attention kernel.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from absl import logging
from jax.sharding import Mesh

from mdm import config, contents
from mdm.codecs.codec import Codec, Media
from mdm.data.extents import WHOLE, Extent, known_codes
from mdm.data.manifest import Manifest
from mdm.data.spans import SpanLength
from mdm.evaluation.continuations import TASK, TextScorer, TextScoring, WrittenText, shared_room
from mdm.evaluation.elbo import Scorer
from mdm.evaluation.material import Material
from mdm.evaluation.ordered import OrderSettings
from mdm.evaluation.result import Result, now
from mdm.evaluation.settings import EvaluationSettings
from mdm.evaluation.task import run, tasks_of
from mdm.fingerprint import fingerprint
from mdm.model import attention as kernels
from mdm.model.network import Network, Parameters
from mdm.model.transformer import ModelSettings
from mdm.problems import Problem, Refusal, collecting, refuse_if
from mdm.runs.checkpoint import PARAMETERS, CheckpointReader
from mdm.runs.folder import RunFolder
from mdm.sampling.batches import Batch, Fit, by_length, plan_batches
from mdm.sampling.canvas import Request, expected_tail, share_room
from mdm.sampling.grids import TRAINED
from mdm.sampling.programs import Programs, Sampled, merged
from mdm.sampling.settings import SamplerSettings
from mdm.tokens.hashing import mix, text_key, uniform
from mdm.tokens.rows import Document, tail_length
from mdm.tokens.tasks import TASK_NAMES, TASKS, Task
from mdm.tokens.vocabulary import ENDING, Vocabulary
from mdm.training import sharding
from mdm.training.mesh import Devices, MeshSettings, make_mesh

_ROWS = 16  # that are sampled at once, where nobody says how many


@dataclasses.dataclass(frozen=True, eq=False)
class TrainedModel:
    """Parameters of one step, with the network, the codecs and the settings they belong to.

    settings: as the run was trained with; network: the same but for the attention kernel, which is that of this machine
    weights:  which parameters: "ema", or "parameters"
    mesh:     the devices over which the parameters lie
    """

    folder: RunFolder
    settings: config.Settings
    network: Network
    parameters: Parameters
    codecs: Mapping[str, Codec]
    spans: Mapping[str, Mapping[str, SpanLength]]
    step: int
    weights: str
    mesh: Mesh
    _programs: dict = dataclasses.field(default_factory=dict)  # compiled; shared by the steps of a run

    @classmethod
    def load(
        cls, workdir: str, step: int | None = None, parameters: str = "ema", attention: str | None = None
    ) -> TrainedModel:
        """Reads a run folder: its newest whole step, or `step`, over all devices of this process.

        attention: name of the kernel; by default that of the run where it runs here, and blockwise where it does not
        Raises Refusal naming what is missing or damaged, or a kernel that does not run here; Vanished, which is one, for a
        step that is not there; OSError if the storage fails.
        """
        folder, devices = RunFolder(workdir), jax.devices()
        if parameters not in PARAMETERS:
            raise Refusal(Problem("weights", parameters, "are not in a checkpoint", f"use one of {PARAMETERS}"))
        settings = config.from_dict(folder.read_json(folder.config), str(folder.config))
        vocabulary = Vocabulary.from_json(folder.read_json(folder.vocabulary), str(folder.vocabulary))
        network = Network(_on(devices[0].platform, settings, attention), vocabulary)
        step = CheckpointReader(folder.checkpoints).latest(parameters) if step is None else step
        if step is None:
            raise Refusal(
                Problem(str(folder.checkpoints), None, "holds no whole checkpoint", "train first, or check the path")
            )
        codecs, spans = contents.codecs(folder), contents.spans(folder)
        mesh = _mesh(settings.model, devices)
        return cls(folder, settings, network, {}, codecs, spans, step, parameters, mesh).at(step)

    def at(self, step: int) -> TrainedModel:
        """The same at another step: what was compiled serves it too. Raises as `load`."""
        lying = sharding.abstract_parameters(self.network, self.mesh)
        values = CheckpointReader(self.folder.checkpoints).restore_parameters(step, lying, self.weights)
        return dataclasses.replace(self, parameters=values, step=step)

    @property
    def fingerprint(self) -> str:
        """Of the settings of the run."""
        return fingerprint(config.to_dict(self.settings))

    @property
    def fit(self) -> Fit:
        """What this machine wants of rows: as many as the devices divide, of lengths that the attention kernel takes."""
        return Fit(self.mesh.size, kernels.BACKENDS[self.network.settings.attention].length_multiple)

    def filled(self, rows: int) -> int:
        """At least so many rows of a batch, to be cut over the devices."""
        return -(-rows // self.fit.rows) * self.fit.rows

    @property
    def stamp(self) -> dict[str, Any]:
        """What its results say of it: fields of `mdm.evaluation.result.Result`."""
        own = self.network.settings
        of = {"step": self.step, "config": self.fingerprint, "weights": self.weights}
        return {**of, "attention": own.attention, "compute_dtype": own.compute_dtype}

    def encode(self, modality: str, media: Media) -> np.ndarray:
        """Codes of one medium."""
        return self._codec(modality).encode([media])[0]

    def requests(
        self, task: str, given: Mapping[str, Media], seeds: Sequence[int | None], extent: Extent = WHOLE
    ) -> list[Request]:
        """Requests from the same media.

        given:  the conditions, and any target of which a part is known
        seeds:  one a request: by it the positions of a target are drawn whose length is not given, as rows of training are laid
                out; None gives it what is expected. The model may end inside of them
        extent: how much of the targets is made
        Raises Refusal as `task_problems` and `mdm.data.extents.known_codes`, and for media that their codec does not take.
        """
        refuse_if(self.task_problems(task))
        codes = {modality: self.encode(modality, media) for modality, media in given.items()}
        codes, known = known_codes(extent, codes, TASKS[task].targets)
        shapes = [self._shapes(TASKS[task], codes, extent.lengths, seed) for seed in seeds]
        return [Request(task, codes, own, known, tuple(extent.lengths)) for own in shapes]

    def request(
        self, task: str, given: Mapping[str, Media], seed: int | None = None, extent: Extent = WHOLE
    ) -> Request:
        """One of `requests`."""
        return self.requests(task, given, [seed], extent)[0]

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

    def generate(self, requests: Sequence[Request], sampler: SamplerSettings, seeds: Sequence[int]) -> Sampled:
        """Codes of every target of every request, in few batches, those of like length together; a seed a request."""
        length, most = self.settings.data.row_length, self.filled(_ROWS)
        batches = by_length(requests, self.network.vocabulary, length, most, self.fit)
        return merged([(batch.numbers, self.write(batch, requests, sampler, seeds)) for batch in batches])

    def batches(self, requests: Sequence[Request], names: Sequence[str], most: int) -> list[Batch]:
        """The requests in batches of at most `most` for `write`; names: what each is called in a refusal."""
        return plan_batches(requests, names, self.network.vocabulary, self.settings.data.row_length, most, self.fit)

    def write(
        self, batch: Batch, requests: Sequence[Request], sampler: SamplerSettings, seeds: Sequence[int]
    ) -> Sampled:
        """Writes one of the batches that `requests` were put into, on all devices; seeds: of every request.

        `Sampled.sampler` names the grid that "trained" stood for.
        """
        sampler = self._on_schedule(sampler, [requests[number] for number in batch.numbers])
        if sampler.guidance != 1 and batch.layout.conditional and not self.settings.corruption.condition_drop:
            message = "guidance %g, but this run never hid a condition: it was not trained for the unguided branch"
            logging.log_first_n(logging.WARNING, message, 1, sampler.guidance)
        programs = self._programs.setdefault("sampling", Programs(self.on_mesh.bind, self.network.vocabulary))
        return programs.write(self.parameters, batch, requests, sampler, seeds)

    def material(
        self, data: Manifest, settings: EvaluationSettings | None = None, orders: OrderSettings = OrderSettings()
    ) -> Material:
        """What an evaluation on a data set needs, for every step of this run; settings: instead of the run's own.

        Rows are scored on all devices. Raises Refusal for data of another vocabulary or of other codecs, and as `Material`.
        """
        if data.vocabulary != self.network.vocabulary:
            raise Refusal(
                Problem(str(data.directory), data.vocabulary.fingerprint, "was prepared with another vocabulary than the run's",
                        "give the run's own data set with --data")
            )  # fmt: skip
        refuse_if(self._codec_problems(data))
        own, settings = self.settings.data, settings or self.settings.evaluation
        settings = dataclasses.replace(settings, batch_rows=self.filled(settings.batch_rows))
        return Material(
            self.on_mesh, data, settings, own.row_length, own.streams, units_of=self._units, orders=orders,
            multiple=self.fit.positions,
        )  # fmt: skip

    def score(self, data: Manifest, settings: EvaluationSettings | None = None) -> list[Result]:
        """The likelihood of every task of the run on a data set. Raises as `material` and `mdm.evaluation.task.run`."""
        material = self.material(data, settings)
        results = run(material, tasks_of(self.settings.data.streams, material.settings.splits), self.parameters)
        return [result.stamped({**self.stamp, "time": now()}) for result in results]

    def text_scorer(self, scoring: TextScoring = TextScoring()) -> TextScorer:
        """Scores continuations of texts, with the parameters of any step. Raises Refusal for a run without text."""
        refuse_if(scoring.problems("scoring"))
        if TASK not in self.spans:
            reason = f"this run was not trained on it; it knows {tuple(self.spans)}"
            raise Refusal(Problem("task", TASK, reason, "texts are scored by a run with a stream of text"))
        if scoring not in self._programs:
            own = dataclasses.replace(scoring, batch_rows=self.filled(scoring.batch_rows))
            length = self.settings.data.row_length
            self._programs[scoring] = TextScorer(self.on_mesh, self._codec("text"), length, own, self.fit.positions)
        return self._programs[scoring]

    def scorer(self, samples: int) -> Scorer:
        """Scores documents by the ELBO of so many mask counts, in batches of `filled` rows."""
        return self._programs.setdefault(("scorer", samples), Scorer(self.on_mesh, samples))

    def continue_texts(
        self, texts: Sequence[str], most: int, sampler: SamplerSettings, seeds: Sequence[int]
    ) -> list[WrittenText]:
        """What is written behind each text, at most `most` codes of it. What does not fit in a row is shared by `shared_room`; a
        text that is too long loses its beginning, and the result says how much of it."""
        codec, length = self._codec("text"), self.settings.data.row_length
        whole = [codec.encode([text])[0] if text else np.zeros(0, np.int32) for text in texts]
        shares = [shared_room(codes.size, most, length) for codes in whole]
        requests = []
        for codes, (kept, room) in zip(whole, shares, strict=True):
            given = np.concatenate([codes[codes.size - kept :], np.zeros(room, np.int32)])
            requests.append(Request(TASK, {"text": given}, {}, {"text": np.arange(given.size) < kept}))
        sampled = self.generate(requests, sampler, seeds)
        return [
            WrittenText(codec.decode([own["text"][kept:]])[0], codes.size - kept, room, sampled.sampler, seed)
            for own, codes, (kept, room), seed in zip(sampled.documents, whole, shares, seeds, strict=True)
        ]

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

    def resolved(self, task: str, sampler: SamplerSettings) -> SamplerSettings:
        """A sampler as it is used for a task of the run: with the grid that "trained" stands for. Of an adaptive schedule that is
        what it began as: the density that it has learnt lies in the state of the training, of which only parameters are read."""
        return sampler.on_schedule(self.settings.corruption.trained_on(task))

    def _on_schedule(self, sampler: SamplerSettings, requests: Sequence[Request]) -> SamplerSettings:
        if sampler.grid != TRAINED:
            return sampler
        names = {self.settings.corruption.trained_on(r.task) for r in requests if r.task in TASKS}
        if len(names) > 1:
            reason = f"these tasks were trained on several schedules, {sorted(names)}"
            raise Refusal(Problem("sampler.grid", TRAINED, reason, "sample each task by itself, or name a grid"))
        return sampler.on_schedule(*names) if names else sampler

    @property
    def on_mesh(self) -> Network:
        """For batches that all devices share; their rows are `filled`."""
        return dataclasses.replace(self.network, placement=sharding.placement(self.mesh))

    def _units(self, modality: str, codes: np.ndarray) -> dict[str, float]:
        """How much codes stand for, by units of `mdm.evaluation.result`. A character belongs to the piece that it begins in."""
        if modality == "text" and "text" in self.codecs:
            content = np.frombuffer(self.codecs["text"].utf8(codes), np.uint8)
            return {"byte": content.size, "character": int((content & 0xC0 != 0x80).sum())}
        if modality == "audio" and "audio" in self.codecs:
            return {"second": codes.size / self.codecs["audio"].tokens_per_second}
        return {"picture": 1} if modality == "image" else {}

    def _codec_problems(self, data: Manifest) -> list[Problem]:
        """Codecs of a data set that are not the run's: of equal sizes, their codes would be read as something else, silently."""
        remedy = "give the run's own data set with --data, or another run that was trained with these codecs"
        return [
            Problem(
                f"{data.directory}: codecs.{modality}",
                f"{recorded['kind']} {recorded['fingerprint']}",
                f"is not the run's codec, {self.codecs[modality].kind} {self.codecs[modality].fingerprint}",
                remedy,
            )
            for modality, recorded in data.codecs.items()
            if modality in self.codecs and recorded["fingerprint"] != self.codecs[modality].fingerprint
        ]

    def _codec(self, modality: str) -> Codec:
        if modality not in self.codecs:
            raise Refusal(
                Problem("codecs", modality, f"this run has codecs for {tuple(self.codecs)} only", "use another run")
            )
        return self.codecs[modality]

    def _shapes(
        self, task: Task, codes: Document, lengths: Mapping[str, int], seed: int | None
    ) -> dict[str, tuple[int, ...]]:
        """Of the targets without codes."""
        missing = {m: self._codec(m) for m in task.targets if m not in codes}
        sizes, likely, wanted = {m: own.size for m, own in codes.items()}, {}, {}
        before = sum(sizes[m] for m in task.conditions)
        for m in task.targets:
            if m in missing and m not in ENDING:
                sizes[m] = math.prod(missing[m].grid)
            elif m in missing and m in lengths:
                sizes[m] = lengths[m]
            elif m in missing:
                likely[m], wanted[m] = self._room(self.spans[task.name][m], m, before, seed)
            before += (likely | sizes)[m] if m in ENDING else 0
        sizes |= share_room(sizes, wanted, self.settings.data.row_length)
        shapes = {}
        for m, codec in missing.items():
            books = len(codec.codebooks)
            frames = (
                -(-sizes[m] // books) if m in lengths else max(1, sizes[m] // books)
            )  # no more than there is room for
            shapes[m] = codec.grid if m not in ENDING else (sizes[m],) if m == "text" else (frames, books)
        return shapes

    @staticmethod
    def _room(span: SpanLength, modality: str, before: int, seed: int | None) -> tuple[int, int]:
        """(content positions that a target may come to, those with a tail); before: content of what is known or before it."""
        if seed is None:
            likely = span.expected(before)
            return likely, likely + expected_tail(likely, modality)
        number = int(mix(seed, text_key("room")))
        likely = span.drawn(before, float(uniform(number, text_key(modality), 0)))
        return likely, likely + int(tail_length(likely, number, modality))


def _on(platform: str, settings: config.Settings, attention: str | None) -> ModelSettings:
    """The network's settings for this machine."""
    own = settings.model
    if attention is None:
        return dataclasses.replace(own, attention=kernels.on_platform(own.attention, platform))
    if attention not in kernels.BACKENDS:
        remedy = f"use one of {tuple(kernels.BACKENDS)}"
        raise Refusal(Problem("attention", attention, "is no attention kernel", remedy))
    length = settings.data.row_length
    refuse_if(kernels.problems("attention", attention, own.head_size, length, own.compute_dtype, platform))
    return dataclasses.replace(own, attention=attention)


def _mesh(model: ModelSettings, devices: Sequence[jax.Device]) -> Mesh:
    """Over all devices: parameters are cut along their width, or lie whole on each where it does not divide."""
    cut, whole = MeshSettings(), MeshSettings(replica=len(devices), fsdp=1)
    fits = not sharding.problems(cut.shape(Devices.of(devices)), model, 1, len(devices))
    return make_mesh(cut if fits else whole, devices)
