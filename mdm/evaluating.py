"""An evaluation of a run: what `mdm.evaluate` does to a checkpoint, part by part."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
from etils import epath

from mdm import atomic, config, contents
from mdm.data import exhibits
from mdm.data.exhibits import Exhibit
from mdm.data.manifest import SPLITS, Manifest
from mdm.evaluation import (
    against,
    choices,
    document_scores,
    evaluated,
    gallery,
    generated,
    harness,
    paper,
    parts,
    report,
    table,
    tables,
    watched,
)
from mdm.evaluation.against import EvaluatedRun
from mdm.evaluation.continuations import TextScorer, WrittenText
from mdm.evaluation.folder import CHOICES, GENERATED, HARNESS, LIKELIHOOD, ORDERS, EvaluationFolder, Progress
from mdm.evaluation.gallery import Room
from mdm.evaluation.generated import Generated
from mdm.evaluation.incomplete import Incomplete, refuse_missing
from mdm.evaluation.made_with import MadeWith
from mdm.evaluation.material import Material
from mdm.evaluation.measures import perplexity
from mdm.evaluation.measures.measure import Documents
from mdm.evaluation.measures.registry import MEASURES
from mdm.evaluation.originals import Originals
from mdm.evaluation.parts import Part
from mdm.evaluation.plan import Decisions, Plan
from mdm.evaluation.result import Result
from mdm.evaluation.settings import EvaluationSettings
from mdm.evaluation.task import run, tasks_of
from mdm.evaluation.writers import Several, TensorBoard, WeightsAndBiases, Writer
from mdm.fingerprint import fingerprint
from mdm.problems import Problem, Refusal, refuse_if
from mdm.runs import log
from mdm.runs.checkpoint import CheckpointReader
from mdm.runs.folder import RunFolder
from mdm.sampling.defaults import DEFAULTS
from mdm.sampling.settings import SamplerSettings
from mdm.trained import TrainedModel

Resume = Callable[[str], Progress]


class Evaluation:
    """Evaluates steps of one run; what is read or compiled for one serves the next.

    output: folder of the results; wandb: project of Weights & Biases, if any
    Raises Refusal for a plan that cannot be followed, and where no run of Weights & Biases can be begun.
    """

    def __init__(self, folder: RunFolder, output: str | Path, plan: Plan, wandb: str | None = None):
        refuse_if(plan.problems())
        _changed(EvaluationSettings(), plan.evaluation)
        if plan.harness.tasks:
            harness.require()
        self._run, self._plan, self.folder = folder, plan, EvaluationFolder(output)
        self._measures = (*MEASURES, *([perplexity.under(plan.language_model)] if plan.language_model else []))
        self._reader = CheckpointReader(folder.checkpoints)
        self._model: TrainedModel | None = None
        self._mark: str | None = None
        self._read: dict | None = None
        writers: list[Writer] = [TensorBoard(self.folder.events)]
        if wandb:  # before anything is read: without it every step would be passed over
            self.folder.create()
            name = f"{self._name}-{self._run.path.name}-evaluation"
            writers.append(WeightsAndBiases(wandb, name, self.folder.path))
        self._writer = Several(writers)

    def evaluate(self, step: int, *, again: bool = False) -> None:
        """Makes what is not there yet of a step, or all of it again.

        Raises Refusal for a step that cannot be read (Vanished for one that is gone), or, when everything was tried, with what
        could not be made.
        """
        model = self._at(step)
        self.folder.create()
        try:
            parts.make(
                self.folder,
                self._parts,
                model,
                model.step,
                model.stamp,
                self._writer,
                checkpoint=self._mark,
                again=again,
            )
        finally:
            self._tell(model.step)

    def newest(self) -> int:
        """The newest whole step. Raises Refusal if there is none."""
        return self._at(None).step

    def finished(self, step: int) -> bool:
        """Whether all parts of a step are there, made with what this plan makes them with."""
        self._renew()
        mark = self._reader.mark(step)
        return not any(self.folder.wanting(step, part.name, part.made_with(), mark) for part in self._parts)

    def report(
        self,
        path: str,
        pieces: int,
        beside: Mapping[str, SamplerSettings] | None = None,
        step: int | None = None,
        others: Sequence[str] = (),
    ) -> None:
        """Writes the HTML page of a step, by default the newest that was evaluated and is still there; `pieces` samples of each
        task and split.

        beside: other samplers, whose samples are shown too where they differ; others: folders of runs to compare with
        Raises Refusal if nothing was evaluated of it, and, behind the page, for samples that could not be made.
        """
        steps = self.folder.steps()
        if step is None:
            there = self._reader.steps()
            step = max((s for s in steps if s in there), default=None)
        if step not in steps:
            reason = (
                "there is no finished evaluation of this step" if step is not None else "holds no finished evaluation"
            )
            raise Refusal(Problem(str(self.folder.path), step, reason, "see the errors above"))
        model, own = self._at(step), evaluated.read(self.folder, step)
        lines, settings = [line for line in log.read(self._run) if line["step"] <= step], model.settings
        samplers = [self._plan.samplers, *([beside] if beside else [])]
        excerpt = settings.data.row_length // 3
        problems: list[Problem] = []
        rooms: Sequence[Room] = ()
        try:
            rooms = gallery.show(model, self._streams, self._exhibits, samplers, pieces, excerpt, self._evaluation.seed)
        except Incomplete as incomplete:
            rooms, problems = incomplete.results, list(incomplete.problems)
        except Refusal as refusal:
            problems = list(refusal.problems)
        self._writer.show(step, watched.of_rooms(rooms))
        size = sum(leaf.size for leaf in jax.tree.leaves(model.parameters))
        row_length, batch_size = settings.data.row_length, settings.training.batch_size
        facts = report.facts(size, settings.model, row_length, batch_size, own.results, lines, rooms)
        history = evaluated.history(self.folder, own)
        name, *names = against.names([self._run.path, *others])
        page = report.render(
            report.Report(
                title=f"mdm: {self._name}",
                lines=lines,
                run=EvaluatedRun(name, config.to_dict(settings), own),
                history=history,
                others=[_complete(against.read(*other, step), other[0]) for other in zip(others, names, strict=True)],
                manifest=self._data,
                rooms=rooms,
                facts=facts,
                parts=evaluated.parts_of(self.folder, tables.spread(history)) if history else {},
            )
        )
        atomic.write_text(epath.Path(path), page)
        refuse_if(problems)

    def close(self) -> None:
        self._writer.close()

    def _at(self, step: int | None) -> TrainedModel:
        """A step as it is now: its number may stand for another checkpoint than before. None: the newest that was whole."""
        self._renew()
        mark = None if step is None else self._reader.mark(step)  # before it is read: at worst it is read again
        if self._model is None:
            self._model = TrainedModel.load(str(self._run.path), step, self._plan.weights, self._plan.attention)
            self._mark = mark if step is not None else self._reader.mark(self._model.step)
        elif step is not None and (step, mark) != (self._model.step, self._mark):
            self._model, self._mark = self._model.at(step), mark
        return self._model

    def _renew(self) -> None:
        """Forgets what was read of the run if its settings have changed, as they may where it is continued or begun anew."""
        read = self._run.read_json(self._run.config)
        if self._read not in (None, read):
            self._model = None
            for name, own in vars(Evaluation).items():
                if isinstance(own, functools.cached_property):  # all of them are of the run
                    self.__dict__.pop(name, None)
        self._read = read

    @functools.cached_property
    def _settings(self) -> config.Settings:
        """Of the run, which may be asked for before a model is read."""
        return config.from_dict(self._run.read_json(self._run.config), str(self._run.config))

    @functools.cached_property
    def _parts(self) -> tuple[Part, ...]:
        plan, made = self._plan, self._decisions
        found = [Part(LIKELIHOOD, functools.partial(self._likelihood, "likelihood", made.likelihood), made.likelihood)]
        if plan.orders.draws:
            found.append(Part(ORDERS, functools.partial(self._likelihood, "chain-rule", made.orders), made.orders))
        for path in map(Path, plan.choices):
            make = lambda model, _, path=path: [choices.measure(self._texts, model.parameters, path)]  # noqa: E731
            found.append(Part(f"{CHOICES}{path.stem}", make, functools.partial(made.choices, path)))
        if plan.harness.tasks:
            found.append(Part(HARNESS, self._harness, made.harness))
        if self._evaluation.generated:
            found.append(Part(GENERATED, self._generated, made.generated))
        elif plan.language_model:
            reason = "nothing is written that it could judge"
            raise Refusal(Problem("--language_model", plan.language_model, reason, "add --generated=N"))
        return tuple(found)

    @functools.cached_property
    def _decisions(self) -> Decisions:
        data = self._settings.data
        fingerprint_of_data = lambda: self._data.fingerprint  # noqa: E731
        return Decisions(
            self._plan, self._evaluation, data.streams, data.row_length, fingerprint_of_data, self._measures
        )

    @functools.cached_property
    def _evaluation(self) -> EvaluationSettings:
        return _changed(self._settings.evaluation, self._plan.evaluation)

    @property
    def _name(self) -> str:
        """Of the folder that the run lies in, wherever this process was started."""
        return Path(self._run.path).resolve().parent.name

    @functools.cached_property
    def _data(self) -> Manifest:
        return contents.data_set(self._settings, self._plan.data)

    @functools.cached_property
    def _material(self) -> Material:
        return self._model.material(self._data, self._evaluation, self._plan.orders)

    @functools.cached_property
    def _texts(self) -> TextScorer:
        return self._model.text_scorer(self._plan.scoring)

    @functools.cached_property
    def _streams(self) -> dict[str, tuple[str, ...]]:
        """Name -> the tasks that it draws."""
        return {name: own.drawn for name, own in self._settings.data.streams.items()}

    def _exhibits(self, stream: str) -> list[Exhibit]:
        return [e for split in SPLITS[::-1] for e in exhibits.read(self._data.directory, stream, split)]

    @functools.cached_property
    def _originals(self) -> dict[str, Originals]:
        """Of each stream, of the splits that are evaluated; scored once for all steps."""
        own = lambda name: [e for e in self._exhibits(name) if e.split in self._evaluation.splits]  # noqa: E731
        return {name: Originals(lambda _, name=name: own(name), self._evaluation.generated) for name in self._streams}

    def _likelihood(
        self, what: str, made_with: Callable[[], MadeWith], model: TrainedModel, resume: Resume
    ) -> list[Result]:
        material = self._material
        # One part is made on one machine and in one way, to the last bit; finished ones of several may stand together.
        here = [
            model.fingerprint, model.network.settings.attention, model.mesh.size, material.settings.batch_rows, self._mark,
        ]  # fmt: skip
        progress = resume(fingerprint([made_with().fingerprint, *here]))
        tasks = tasks_of(self._settings.data.streams, material.settings.splits, what)
        stamp = {name: model.stamp[name] for name in document_scores.STAMP}

        def keep(name: str, results: Sequence[Result]) -> None:
            document_scores.write(self.folder.documents(model.step), [r.by_document for r in results], stamp)
            progress.keep(name, results)

        return run(material, tasks, model.parameters, dict(progress.kept), keep)

    def _harness(self, model: TrainedModel, _: Resume) -> Sequence[harness.HarnessFigure]:
        texts = self._texts

        def write(contexts: Sequence[str], most: int) -> list[WrittenText]:
            sampler = dataclasses.replace(DEFAULTS["text"], temperature=0.0, order="confidence", grid="uniform")
            # One at a time: rows of one length are compiled once, and none is longer than its own text wants.
            return [model.continue_texts([context], most, sampler, [0])[0] for context in contexts]

        own = harness.TextModel(
            read=texts.read, pieces=texts.pieces, score=functools.partial(texts.scores, model.parameters), write=write
        )
        return harness.measure(own, self._plan.harness, dataclasses.asdict(texts.settings))

    def _generated(self, model: TrainedModel, _: Resume) -> list[Generated]:
        found: list[Generated] = []
        problems: list[Problem] = []
        missing: list[str] = []
        for stream, tasks in self._streams.items():
            try:
                found += self._generated_of(stream, tasks, model)
            except Incomplete as incomplete:
                found += incomplete.results
                problems += incomplete.problems
                missing += [f"{stream}/{task}" for task in incomplete.missing]
            except Refusal as refusal:
                problems += refusal.problems
                missing.append(stream)
        refuse_missing(problems, found, missing)
        if not found:
            reason = "nothing can be measured: it keeps no originals, or what measures them is not installed"
            remedy = "prepare it from media, or pip install 'mdm[scorers]'"
            raise Refusal(Problem(str(self._data.directory), None, reason, remedy))
        return found

    def _generated_of(self, stream: str, tasks: Sequence[str], model: TrainedModel) -> list[Generated]:
        def show(task: str, split: str, originals: Documents, made: Documents) -> None:
            place = ["generated", split, stream, task]
            self._writer.show(model.step, watched.of_documents(place, task, originals, made))

        return generated.measure(
            model,
            tasks,
            self._originals[stream],
            self._plan.samplers.__getitem__,
            self._measures,
            self._evaluation.seed,
            stream=stream,
            batch=min(generated.BATCH, 2 * self._evaluation.batch_rows),
            show=show,
        )

    def _tell(self, step: int) -> None:
        """Prints what there is of a step, and writes the newest as tables."""
        own = evaluated.read(self.folder, step)
        if not own.results:
            return
        print(f"step {step}\n{table.plain(own.results)}", flush=True)
        if step == self.folder.steps()[-1]:
            self.folder.write_table(paper.page(own))


def _complete(run: EvaluatedRun, workdir: str) -> EvaluatedRun:
    """With the settings that came into being after it, at their defaults."""
    return dataclasses.replace(run, settings=config.to_dict(config.from_dict(run.settings, workdir)))


def _changed(usual: EvaluationSettings, changes: Mapping[str, Any]) -> EvaluationSettings:
    """Raises Refusal naming every change that cannot be made."""
    problems: list[Problem] = []
    found = config.changed(usual, changes, "evaluation", problems)
    refuse_if(problems)
    refuse_if(found.problems("evaluation"))
    return found
