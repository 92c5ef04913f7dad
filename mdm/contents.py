"""What belongs to a run besides its parameters: codecs, spans, and the data set that it names. A copy may lack some of it."""

from __future__ import annotations

from pathlib import Path

from mdm import config
from mdm.codecs import registry
from mdm.codecs.codec import Codec
from mdm.data import manifest
from mdm.data.manifest import Manifest
from mdm.data.spans import SpanLength
from mdm.problems import Problem, Refusal
from mdm.runs.folder import RunFolder
from mdm.runs.storage import OF_PATHS, answered

_RESTORE = "restore it from the run that this is a copy of"


def data_set(settings: config.Settings, directory: str | None = None) -> Manifest:
    """The one in `directory`, by default the run's own. Raises Refusal as `manifest.load`, and where the run's own is not here: a
    run may be copied without it."""
    own = Path(settings.data.directory) / manifest.FILE
    if directory is None and not own.exists():
        remedy = "name where it is: --data=DIR, from Python data=DIR; or prepare it with `python -m mdm.prepare`"
        raise Refusal(Problem(str(own), None, "the data set of the run is not here", remedy))
    return manifest.load(directory or settings.data.directory)


def codecs(folder: RunFolder) -> dict[str, Codec]:
    """By modality. Raises Refusal for a run without their folder, and for one that is damaged."""
    try:
        with answered(folder.codecs):
            return {path.name: registry.load(path) for path in sorted(folder.codecs.iterdir()) if path.is_dir()}
    except OF_PATHS as error:
        raise Refusal(Problem(str(folder.codecs), None, f"cannot be read ({error})", _RESTORE)) from error


def spans(folder: RunFolder) -> dict[str, dict[str, SpanLength]]:
    """By task and modality. Raises Refusal for a file that is missing or holds something else."""
    try:
        return {
            task: {modality: SpanLength(**own) for modality, own in by_modality.items()}
            for task, by_modality in folder.read_json(folder.spans).items()
        }
    except (TypeError, AttributeError) as error:
        reason = f"does not tell how long targets of free length are ({error})"
        raise Refusal(Problem(str(folder.spans), None, reason, _RESTORE)) from error
