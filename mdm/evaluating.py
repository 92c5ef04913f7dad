"""An evaluation of a run: what `mdm.evaluate` does to a checkpoint, part by part."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import jax
from etils import epath

from mdm import atomic, config
from mdm.data import exhibits, manifest
from mdm.data.exhibits import Exhibit
from mdm.data.manifest import SPLITS, Manifest
from mdm.evaluation import choices, gallery, generated, harness, paper, parts, report, table
from mdm.evaluation.continuations import TextScorer
from mdm.evaluation.folder import LIKELIHOOD, EvaluationFolder, Progress
from mdm.evaluation.generated import Generated
from mdm.evaluation.made_with import MadeWith
from mdm.evaluation.material import Material
from mdm.evaluation.measures import perplexity
from mdm.evaluation.measures.registry import MEASURES
from mdm.evaluation.originals import Originals
from mdm.evaluation.parts import Part
from mdm.evaluation.plan import Decisions, Plan
from mdm.evaluation.result import Result
from mdm.evaluation.task import run, tasks_of
from mdm.evaluation.writers import Several, TensorBoard, WeightsAndBiases, Writer
from mdm.fingerprint import fingerprint
from mdm.problems import Problem, Refusal, refuse_if
from mdm.runs import log
from mdm.runs.folder import RunFolder
from mdm.sampling.defaults import DEFAULTS
from mdm.sampling.settings import SamplerSettings
from mdm.trained import TrainedModel

ORDERS = "orders"
GENERATED = "generated"

Resume = Callable[[str], Progress]


class Evaluation:
    """Evaluates steps of one run; what is read or compiled for one serves the next.

    output: folder of the results; wandb: project of Weights & Biases, if any
    Raises Refusal for a plan that cannot be followed.
    """

    def __init__(self, folder: RunFolder, output: str | Path, plan: Plan, wandb: str | None = None):
        refuse_if(plan.problems())
        if plan.harness.tasks:
            harness.require()
        self._run, self._plan, self.folder = folder, plan, EvaluationFolder(output)
        self._measures = (*MEASURES, *([perplexity.under(plan.language_model)] if plan.language_model else []))
        self._wandb = wandb
        self._model: TrainedModel | None = None

    def evaluate(self, step: int | None, *, again: bool = False) -> None:
        """Makes what is not there yet of a step (None: the newest), or all of it again.

        Raises Refusal for a step that cannot be read (Vanished for one that is gone), or, when everything was tried, with what
        could not be made.
        """
        model = self._at(step)
        self.folder.create()
        stamp = {"config": model.fingerprint, "weights": self._plan.weights}
        try:
            parts.make(self.folder, self._parts, model, model.step, stamp, self._writer, again=again)
        finally:
            self._tell(model.step)

    def finished(self, step: int) -> bool:
        """Whether all parts of a step are there, made with what this plan makes them with."""
        return not any(self.folder.wanting(step, part.name, part.made_with()) for part in self._parts)

    def report(self, path: str, pieces: int, beside: Mapping[str, SamplerSettings] | None = None) -> None:
        """Writes the HTML page of the newest step that was evaluated; `pieces` samples of each task and split.

        beside: other samplers, whose samples are shown too where they differ
        """
        steps = self.folder.steps()
        if not steps:
            raise Refusal(Problem(str(self.folder.path), None, "holds no finished evaluation", "see the errors above"))
        model, results = self._at(steps[-1]), self._results(steps[-1])
        made = [Generated.from_json(line) for line in self.folder.read(steps[-1], GENERATED)]
        lines, settings = log.read(self._run), model.settings
        samplers = [self._plan.samplers, *([beside] if beside else [])]
        excerpt = settings.data.row_length // 3
        rooms = gallery.show(model, tuple(self._stream_of), self._exhibits, samplers, pieces, excerpt)
        size = sum(leaf.size for leaf in jax.tree.leaves(model.parameters))
        row_length, batch_size = settings.data.row_length, settings.training.batch_size
        facts = report.facts(size, settings.model, row_length, batch_size, results, lines, rooms)
        page = report.render(report.Report(f"mdm: {self._name}", lines, results, made, self._data, rooms, facts))
        atomic.write_text(epath.Path(path), page)

    def close(self) -> None:
        if "_writer" in self.__dict__:
            self._writer.close()

    def _at(self, step: int | None) -> TrainedModel:
        if self._model is None:
            self._model = TrainedModel.load(str(self._run.path), step, self._plan.weights, self._plan.attention)
        elif step is not None and step != self._model.step:
            self._model = self._model.at(step)
        return self._model

    @functools.cached_property
    def _settings(self) -> config.Settings:
        """Of the run, which may be asked for before a model is read."""
        return config.from_dict(self._run.read_json(self._run.config), str(self._run.config))

    @functools.cached_property
    def _parts(self) -> tuple[Part, ...]:
        plan, made = self._plan, self._made_with
        found = [Part(LIKELIHOOD, functools.partial(self._likelihood, "likelihood", made.likelihood), made.likelihood)]
        if plan.orders.draws:
            found.append(Part(ORDERS, functools.partial(self._likelihood, "chain-rule", made.orders), made.orders))
        for path in map(Path, plan.choices):
            make = lambda model, _, path=path: [choices.measure(self._texts, model.parameters, path)]  # noqa: E731
            found.append(Part(f"choices.{path.stem}", make, functools.partial(made.choices, path)))
        if plan.harness.tasks:
            found.append(Part("harness", self._harness, made.harness))
        if self._most_generated:
            found.append(Part(GENERATED, self._generated, made.generated))
        elif plan.language_model:
            reason = "nothing is written that it could judge"
            raise Refusal(Problem("--language_model", plan.language_model, reason, "add --generated=N"))
        return tuple(found)

    @functools.cached_property
    def _made_with(self) -> Decisions:
        data = self._settings.data
        return Decisions(
            self._plan, dataclasses.replace(self._settings.evaluation, generated=self._most_generated), data.streams,
            data.row_length, lambda: self._data.fingerprint, self._measures,
        )  # fmt: skip

    @property
    def _most_generated(self) -> int:
        return self._settings.evaluation.generated if self._plan.generated is None else self._plan.generated

    @property
    def _name(self) -> str:
        """Of the folder that the run lies in, wherever this process was started."""
        return Path(self._run.path).resolve().parent.name

    @functools.cached_property
    def _writer(self) -> Writer:
        writers: list[Writer] = [TensorBoard(self.folder.events)]
        if self._wandb:
            name = f"{self._name}-{self._run.path.name}-evaluation"
            writers.append(WeightsAndBiases(self._wandb, name, self.folder.path))
        return Several(writers)

    @functools.cached_property
    def _data(self) -> Manifest:
        return manifest.load(self._plan.data or self._settings.data.directory)

    @functools.cached_property
    def _material(self) -> Material:
        return self._model.material(self._data, orders=self._plan.orders)

    @functools.cached_property
    def _texts(self) -> TextScorer:
        return self._model.text_scorer(self._plan.scoring)

    @property
    def _stream_of(self) -> dict[str, str]:
        return {task: name for name, stream in self._settings.data.streams.items() for task in stream.tasks}

    def _exhibits(self, task: str) -> list[Exhibit]:
        stream = self._stream_of[task]
        return [e for split in SPLITS[::-1] for e in exhibits.read(self._data.directory, stream, split)]

    @functools.cached_property
    def _originals(self) -> Originals:
        """Scored once for all steps."""
        return Originals(self._exhibits, self._most_generated)

    def _likelihood(
        self, what: str, made_with: Callable[[], MadeWith], model: TrainedModel, resume: Resume
    ) -> list[Result]:
        material = self._material
        # One part is made on one machine and in one way, to the last bit; finished ones of several may stand together.
        here = [model.fingerprint, model.network.settings.attention, model.mesh.size, material.settings.batch_rows]
        progress = resume(fingerprint([made_with().fingerprint, *here]))
        tasks = tasks_of(self._settings.data.streams, material.settings.splits, what)
        return run(material, tasks, model.parameters, dict(progress.kept), progress.keep)

    def _harness(self, model: TrainedModel, _: Resume) -> Sequence[harness.HarnessFigure]:
        texts = self._texts

        def write(contexts: Sequence[str], most: int) -> list[str]:
            sampler = dataclasses.replace(DEFAULTS["text"], temperature=0.0, order="confidence", grid="uniform")
            # One at a time: rows of one length are compiled once, and none is longer than its own text wants.
            return [model.continue_texts([context], most, sampler, [0])[0] for context in contexts]

        own = harness.TextModel(
            read=texts.read, pieces=texts.pieces, score=functools.partial(texts.scores, model.parameters), write=write
        )
        return harness.measure(own, self._plan.harness, dataclasses.asdict(texts.settings))

    def _generated(self, model: TrainedModel, _: Resume) -> list[Generated]:
        sampler = self._plan.samplers.__getitem__
        return generated.measure(model, tuple(self._stream_of), self._originals, sampler, self._measures)

    def _results(self, step: int, part: str = LIKELIHOOD) -> list[Result]:
        return [Result.from_json(line) for line in self.folder.read(step, part)]

    def _tell(self, step: int) -> None:
        """Prints what there is of a step, and writes the newest as a table."""
        results = self._results(step)
        if not results:
            return
        print(f"step {step}\n{table.plain(results)}", flush=True)
        if step == self.folder.steps()[-1]:
            atomic.write_text(self.folder.table, paper.table(results + self._results(step, ORDERS)))
