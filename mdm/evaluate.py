"""python -m mdm.evaluate --workdir=DIR [--step=N]: scores a checkpoint of a run, in its own process; only reads the run.

Results go to DIR/evaluations/, or to --output: one JSON line a result, and the table that is printed. With
evaluation.generated (or --generated=N), media are made for N documents of each task and split, and what comes of it is measured.
--report=FILE.html writes a page to look at and to listen to.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import jax
from absl import flags, logging
from etils import epath

from mdm import atomic, command, config
from mdm.data import exhibits, manifest
from mdm.data.exhibits import Exhibit
from mdm.data.manifest import SPLITS, Manifest
from mdm.evaluation import gallery, generated, report, table
from mdm.evaluation.measures import perplexity
from mdm.evaluation.measures.registry import MEASURES
from mdm.evaluation.originals import Originals
from mdm.evaluation.result import stamped
from mdm.fingerprint import fingerprint
from mdm.runs import log
from mdm.runs.folder import RunFolder
from mdm.sampling.defaults import DEFAULTS
from mdm.trained import TrainedModel

_WORKDIR = command.path_flag("workdir", "The run folder; its checkpoints are only read.")
_STEP = flags.DEFINE_integer("step", None, "Checkpoint; by default the newest whole one.")
_DATA = command.path_flag("data", "The data set; by default where the run found it.", required=False)
_OUTPUT = command.path_flag("output", "Folder for the results; by default the run's evaluations.", required=False)
_REPORT = command.path_flag("report", "HTML page to write; it needs the extra `report`.", required=False)
_GENERATED = flags.DEFINE_integer("generated", None, "Instead of the run's evaluation.generated.", lower_bound=0)
_LANGUAGE_MODEL = command.path_flag(
    "language_model", "Folder of a Hugging Face causal language model: perplexity of what is written.", required=False
)
_PIECES = flags.DEFINE_integer("pieces", 6, "Samples of each task and split in the report.", lower_bound=1)


def main() -> None:
    if _REPORT.value:
        report.require()
    measures = (*MEASURES, *([perplexity.under(_LANGUAGE_MODEL.value)] if _LANGUAGE_MODEL.value else []))
    model = TrainedModel.load(_WORKDIR.value, _STEP.value)
    data = manifest.load(_DATA.value or model.settings.data.directory)
    results = model.score(data)
    stream_of = {task: name for name, stream in model.settings.data.streams.items() for task in stream.tasks}
    tasks, sampler = tuple(stream_of), DEFAULTS.__getitem__

    def exhibited(task: str) -> list[Exhibit]:
        return [e for split in SPLITS[::-1] for e in exhibits.read(data.directory, stream_of[task], split)]

    most = model.settings.evaluation.generated if _GENERATED.value is None else _GENERATED.value
    made = generated.measure(model, tasks, Originals(exhibited, most), sampler, measures)
    output = epath.Path(_OUTPUT.value) if _OUTPUT.value else RunFolder(_WORKDIR.value).evaluations
    output.mkdir(parents=True, exist_ok=True)
    stem = f"step-{model.step:09d}"
    results = _write(output / f"{stem}.jsonl", results, model)
    made = _write(output / f"{stem}.generated.jsonl", made, model) if made else []
    print(table.plain(results))
    if _REPORT.value:
        rooms = gallery.show(model, tasks, exhibited, sampler, _PIECES.value, model.settings.data.row_length // 3)
        page = report.render(_report(model, data, results, made, rooms))
        atomic.write_text(epath.Path(_REPORT.value), page)
        logging.info("the report is %s", _REPORT.value)


def _write(path: epath.Path, figures: Sequence, model: TrainedModel) -> list:
    figures = stamped(figures, model.step, fingerprint(config.to_dict(model.settings)))
    path.write_text("".join(json.dumps(figure.to_json()) + "\n" for figure in figures))
    return figures


def _report(model: TrainedModel, data: Manifest, results: list, made: list, rooms: list) -> report.Report:
    lines, settings = log.read(RunFolder(_WORKDIR.value)), model.settings
    size = sum(leaf.size for leaf in jax.tree.leaves(model.parameters))
    row_length, batch_size = settings.data.row_length, settings.training.batch_size
    facts = report.facts(size, settings.model, row_length, batch_size, results, lines, rooms)
    return report.Report(f"mdm: {Path(_WORKDIR.value).resolve().parent.name}", lines, results, made, data, rooms, facts)


if __name__ == "__main__":
    command.run(main)
