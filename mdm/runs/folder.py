"""The run folder: what a run leaves on disk, and where. Enough to generate and to score anywhere.

config.json         resolved settings
vocabulary.json     token space
spans.json          how long spans of free length are
codecs/MODALITY/    the codecs of the data
checkpoints/STEP/   see `checkpoint`
metrics.jsonl       see `log`; in a bucket with metrics/N.jsonl, which continue it
events/             the same for TensorBoard, and profiles
starts/N/           what each start was made with, did and told, see `starts`
compilations/       compiled programs, for restarts (accelerators)
evaluations/        what evaluators wrote
end.json            there when the run has ended: at its last step, or as its training went wrong
"""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

from etils import epath

from mdm import atomic
from mdm.problems import Problem, Refusal, refuse_if, unwritable
from mdm.runs.storage import OF_PATHS, answered


def address_problems(where: str, path: str) -> list[Problem]:
    """What is no address of a run folder, whatever lies there. where: its flag."""
    if not path.strip():
        return [Problem(where, path, "is empty", "name a folder, or gs://BUCKET/FOLDER")]
    store, apart, place = path.partition("://")
    if apart and store != "gs":
        return [
            Problem(where, path, f"{store}:// is no store that is known here", "use gs://BUCKET/FOLDER, or a folder")
        ]
    if apart and not place.strip("/"):
        return [Problem(where, path, "names no bucket", "use gs://BUCKET/FOLDER, or a folder")]
    return []


class RunFolder:
    """Paths of a run, local or `gs://`, and the small files in it. Only the training process writes outside evaluations/."""

    def __init__(self, path: str | Path):
        """Raises Refusal as `address_problems` and, naming the extra, for a bucket whose package is missing."""
        refuse_if(address_problems("the run folder", str(path)))
        apart = "://" in str(path)
        if apart and not importlib.util.find_spec("gcsfs"):
            raise Refusal(Problem(str(path), None, "gcsfs is not installed", "pip install 'mdm[gcs]'"))
        self.path = epath.Path(path)
        if "://" not in str(path):
            self.path = self.path.absolute()  # Orbax writes to no other
        self.config = self.path / "config.json"
        self.vocabulary = self.path / "vocabulary.json"
        self.spans = self.path / "spans.json"
        self.codecs = self.path / "codecs"
        self.checkpoints = self.path / "checkpoints"
        self.metrics = self.path / "metrics.jsonl"
        self.events = self.path / "events"
        self.starts = self.path / "starts"
        self.compilations = self.path / "compilations"
        self.evaluations = self.path / "evaluations"
        self.end = self.path / "end.json"
        self.lock = self.path / "lock"

    def metrics_part(self, number: int) -> epath.Path:
        """What continues the log where nothing can be appended to."""
        return self.path / "metrics" / f"{number}.jsonl"

    def start(self, number: int) -> epath.Path:
        """The folder of one start."""
        return self.starts / str(number)

    def create(self) -> None:
        """Makes the folder if it is not there. Raises Refusal if it cannot be made, Fault if its storage does not answer."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(str(self.path), "cannot be made", error, "choose another folder") from error

    def write_json(self, path: epath.Path, value: Any) -> None:
        """Writes a small file in one step: a reader sees the old or the new one, never half of it."""
        atomic.write_text(path, json.dumps(value, indent=1, ensure_ascii=False))

    def read_json(self, path: epath.Path) -> Any:
        """Raises Refusal if the file is not there, is damaged or may not be read; Unanswered if its storage does not give it."""
        remedy = "restore the file, or start `python -m mdm.train` again: it writes it anew"
        try:
            with answered(path):
                content = path.read_bytes()
            return json.loads(content)
        except FileNotFoundError as error:
            remedy = "check the path: a run folder is made by `python -m mdm.train`"
            raise Refusal(Problem(str(path), None, "does not exist", remedy)) from error
        except (*OF_PATHS, ValueError, RecursionError) as error:
            raise Refusal(Problem(str(path), None, f"cannot be read ({error})", remedy)) from error

    def copy_codecs(self, source: Path, last: str) -> None:
        """Copies the codecs of a data set into the run. last: the file of a codec that is copied last: with it, all of the codec
        is there."""
        for codec in sorted(path for path in source.iterdir() if path.is_dir()):
            target = self.codecs / codec.name
            if (target / last).exists():
                continue  # of the same data: a run whose data have changed is refused when it resumes
            target.mkdir(parents=True, exist_ok=True)
            for file in sorted(codec.iterdir(), key=lambda file: (file.name == last, file.name)):
                with (
                    atomic.replacing(target / file.name) as place,
                    file.open("rb") as reader,
                    place.open("wb") as writer,
                ):
                    shutil.copyfileobj(reader, writer)

    def mark_end(self, reason: str, step: int) -> None:
        """Says that no further checkpoint will come, to evaluators that follow."""
        self.write_json(self.end, {"reason": reason, "step": step})

    def read_end(self) -> dict | None:
        """Reason and step; None if the run has not ended. Raises Refusal for a damaged file."""
        try:
            end = self.read_json(self.end)
        except Refusal:
            if self.end.exists():
                raise
            return None  # or no longer: a run that is continued has not ended
        if not isinstance(end, dict) or not {"reason", "step"} <= set(end):
            raise Refusal(
                Problem(str(self.end), None, "holds no reason and step", "remove it, and start the run again")
            )
        return end

    def clear_end(self) -> None:
        """A run that is continued has not ended."""
        self.end.unlink(missing_ok=True)
