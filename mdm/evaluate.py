"""python -m mdm.evaluate --workdir=DIR [--step=N]: scores a checkpoint of a run, in its own process; only reads the run.

Results go to DIR/evaluations/, or to --output: one JSON line a result, and the table that is printed.
"""

from __future__ import annotations

import dataclasses
import json

from absl import flags
from etils import epath

from mdm import command
from mdm.data import manifest
from mdm.evaluation import table
from mdm.evaluation.task import evaluate
from mdm.problems import Problem, Refusal
from mdm.runs.folder import RunFolder
from mdm.trained import TrainedModel

_WORKDIR = command.path_flag("workdir", "The run folder; its checkpoints are only read.")
_STEP = flags.DEFINE_integer("step", None, "Checkpoint; by default the newest whole one.")
_DATA = command.path_flag("data", "The data set; by default where the run found it.", required=False)
_OUTPUT = command.path_flag("output", "Folder for the results; by default the run's evaluations.", required=False)


def main() -> None:
    model = TrainedModel.load(_WORKDIR.value, _STEP.value)
    data = manifest.load(_DATA.value or model.settings.data.directory)
    if data.vocabulary != model.network.vocabulary:
        raise Refusal(
            Problem(str(data.directory), data.vocabulary.fingerprint, "was prepared with another vocabulary than the run's",
                    "give the run's own data set with --data")
        )  # fmt: skip
    text = model.codecs["text"]
    results = evaluate(
        model.network, model.parameters, data, model.settings.evaluation, model.settings.data.row_length,
        model.settings.data.streams, bytes_of=lambda codes: len(text.decode([codes])[0].encode()),
    )  # fmt: skip
    results = [dataclasses.replace(result, step=model.step) for result in results]
    output = epath.Path(_OUTPUT.value) if _OUTPUT.value else RunFolder(_WORKDIR.value).evaluations
    output.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(result.to_json()) + "\n" for result in results)
    (output / f"step-{model.step:09d}.jsonl").write_text(lines)
    print(table.plain(results))


if __name__ == "__main__":
    command.run(main)
