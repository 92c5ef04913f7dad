"""Preparation: media on disk -> codecs -> codes -> a data set that TFDS opens.

The steps: sources are cut into pieces and surveyed; codecs are fitted or loaded; each piece becomes a part (encoded documents);
duplicates among all parts are found; parts become shards. The last three run on an engine, with as many workers as it has.
Every step leaves its result on disk before the next begins, and a second start redoes nothing: codecs that were fitted on
the same media with the same settings are loaded, as are parts and shards that are whole, and a data set that is whole is
returned as it is. What is written depends on the sources and the settings alone, byte for byte.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import tensorflow_datasets as tfds
from absl import logging
from etils import epath
from tensorflow_datasets.core import dataset_info, naming, splits

from mdm import atomic
from mdm.codecs import registry
from mdm.codecs.codec import Codec
from mdm.data import (
    assembly,
    deduplication,
    documents,
    exhibits,
    parts,
    shuffle,
    sources,
    summary,
    verification,
    workspace,
)
from mdm.data import manifest as manifests
from mdm.data.demo.package import Unavailable
from mdm.data.engine import Engine
from mdm.data.manifest import FILE, SPLITS, Manifest, Stream
from mdm.data.media import Item
from mdm.data.readers.reader import Piece
from mdm.data.sources import SourceSettings
from mdm.data.survey import Survey, refuse_empty, survey
from mdm.data.workspace import Identity, Job, Task
from mdm.fingerprint import fingerprint
from mdm.problems import Problem, Refusal, refuse_if
from mdm.tokens.vocabulary import MODALITIES, Vocabulary

CEILING_ITEMS = 256  # held-out media on which a codec's ceiling is measured
_MARK = "fitted.json"  # beside a codec: what it was fitted on, and with which settings
MANY_SHARDS = 20_000  # a manifest of 5 MB; a start looks at every one


@dataclasses.dataclass(frozen=True)
class CodecChoice:
    """kind: a name in `codecs.registry.CODECS`; settings: of that codec."""

    kind: str
    settings: object


@dataclasses.dataclass(frozen=True)
class PreparationSettings:
    """heldout: share of concepts kept from training, in sources that do not say on which side they lie; shard_documents: at most
    so many in a file; most_skips: unreadable items that may be left out (each is named in skips.jsonl) before preparation is
    refused."""

    sources: Mapping[str, SourceSettings]
    codecs: Mapping[str, CodecChoice]
    heldout: float = 0.1
    shard_documents: int = 4096
    most_skips: int = 0
    seed: int = 0

    def problems(self, at: str) -> list[Problem]:
        found = []
        for name, source in self.sources.items():
            shipped = source.path.startswith(sources.SAMPLES)
            remote = [] if shipped else manifests.mounted(source.path, f"{at}.sources.{name}.path")
            found += remote or source.problems(f"{at}.sources.{name}")
            found += manifests.misnamed(source.stream, f"{at}.sources.{name}.stream")
        for modality, choice in self.codecs.items():
            if modality not in MODALITIES:
                found.append(Problem(f"{at}.codecs", modality, "is not a modality", f"use one of {MODALITIES}"))
            elif choice.settings is None:
                kinds = tuple(kind for kind, codec in registry.CODECS.items() if codec.modality == modality)
                found.append(Problem(f"{at}.codecs.{modality}.kind", choice.kind, "unknown", f"use one of {kinds}"))
            else:
                found += choice.settings.problems(f"{at}.codecs.{modality}")
        if not 0 < self.heldout < 1:
            found.append(Problem(f"{at}.heldout", self.heldout, "outside (0, 1)", "0.1 is usual"))
        if self.shard_documents < 1 or self.most_skips < 0:
            found.append(Problem(at, None, "shard_documents or most_skips is out of range", "use 4096 and 0"))
        return found


def prepare(settings: PreparationSettings, directory: str | Path, engine: Engine = Engine()) -> Manifest:
    """Makes the data set in `directory`, or what of it is missing. Raises Refusal for unusable sources or media."""
    refuse_if([*settings.problems("prepare"), *manifests.mounted(str(directory), "--output")])
    if not settings.sources:  # a job on a data set that is there already, or is still to be proven, names none
        raise Refusal(Problem("prepare.sources", None, "there is none", "name at least one source"))
    directory = Path(directory)
    workspace.claim(directory)
    tasks, left_out = _tasks(settings.sources)
    preparation = _identity(_plain(settings), tasks)
    made = _made(directory, preparation)
    if made is None:
        engine.check()
        with workspace.locked(directory):
            made = _made(directory, preparation) or _make(settings, directory, engine, tasks, left_out, preparation)
    return made


def _made(directory: Path, preparation: str) -> Manifest | None:
    """The data set in a folder, if there is one. Raises Refusal if it is another than is asked for."""
    if not (directory / FILE).exists():
        return None
    manifest = manifests.load(directory)
    if manifest.preparation != preparation:
        reason = "holds a data set prepared from other sources or settings"
        raise Refusal(Problem(str(directory), None, reason, "choose another folder, or delete it"))
    refuse_if(verification.lost(manifest))
    logging.info("%s is already prepared", directory)
    return manifest


def _make(
    settings: PreparationSettings,
    directory: Path,
    engine: Engine,
    tasks: Sequence[Task],
    left_out: Mapping[str, Sequence[Problem]],
    preparation: str,
) -> Manifest:
    without_shards = {name: value for name, value in _plain(settings).items() if name != "shard_documents"}
    media = fingerprint([_identity(without_shards, tasks), documents.LAYOUT])
    cut = _cut(settings.sources, tasks)
    if cut != tasks and not workspace.knows(directory, media):  # as an earlier version began, which did not cut
        media = fingerprint([media, [dataclasses.asdict(task.piece) for task in cut]])
    else:
        cut = tasks
    workspace.refuse_other_parts(directory, media)  # before a codec takes the place of the one that made them
    split_of = functools.partial(SourceSettings.split_of, seed=settings.seed, share=settings.heldout)
    learning = any(registry.CODECS[choice.kind].learns for choice in settings.codecs.values())
    surveyed = survey(settings.sources, tasks, split_of, settings.seed, learning, left_out)
    _refuse_without_codec(settings, surveyed)
    codecs = {m: _codec(settings, m, surveyed, directory) for m in MODALITIES if m in settings.codecs}
    described = {m: _describe(settings, m, codec, surveyed) for m, codec in codecs.items()}
    job = Job(
        directory=directory.absolute(),
        sources=_travelling(settings.sources) if engine.runner else settings.sources,
        modalities=surveyed.modalities,
        codebooks={m: codec.codebooks for m, codec in codecs.items()},
        heldout=settings.heldout,
        most_skips=settings.most_skips,
        seed=settings.seed,
    )
    encoded = fingerprint([media, {m: codec.fingerprint for m, codec in codecs.items()}])
    job.open(Identity(media, encoded, fingerprint([encoded, preparation])))
    skipped = _encode(job, cut, engine)
    if any(source.chosen.duplicates != "keep" for source in settings.sources.values()):
        engine.run([task.number for task in cut], *deduplication.stages(job))
    bounds = assembly.boundaries(job, cut, settings.shard_documents)
    refuse_empty({place: len(starts) for place, starts in bounds.starts.items()}, left_out, surveyed.single)
    for source, own in bounds.documents.items():
        logging.info("source %s: %s documents", source, ", ".join(f"{own[split]} {split}" for split in SPLITS))
    if bounds.count > MANY_SHARDS:
        remedy = "stop this, raise prepare.shard_documents and start again: nothing is encoded twice"
        logging.warning("%d shards: fewer open faster; %s", bounds.count, remedy)
    shuffle.write(job, cut, bounds, engine)
    streams, usage = assembly.publish(job, bounds)
    for (stream, split), own in surveyed.items.items():
        exhibits.write(directory, stream, split, own)
    vocabulary = Vocabulary.of(job.codebooks)
    manifest = Manifest(directory, vocabulary, described, streams, preparation)
    dropped = {kind: sum(deduplication.dropped(job, t.number)[kind].size for t in cut) for kind in deduplication.KINDS}
    summary.write(manifest, usage, skipped, dropped, bounds.documents)
    _write_tfds_metadata(directory, streams)
    manifest.save()
    return manifest


def _identity(plain: dict, tasks: Sequence[Task]) -> str:
    """Of settings and the pieces of sources."""
    return fingerprint([plain, [[task.source, dataclasses.asdict(task.piece)] for task in tasks]])


def _plain(settings: PreparationSettings) -> dict:
    """The settings as JSON, without what changes no code."""
    value = dataclasses.asdict(settings)
    del value["most_skips"]
    for source in value["sources"].values():
        if source["side"] == sources.BY_CONCEPT:  # as everything was before there was a choice
            del source["side"]
    return value


def _tasks(settings: Mapping[str, SourceSettings]) -> tuple[list[Task], dict[str, Sequence[Problem]]]:
    """The pieces of all sources, and why some sources are left out."""
    found: list[tuple[str, Piece]] = []
    left_out: dict[str, Sequence[Problem]] = {}
    for name, source in settings.items():
        try:
            found += [(name, piece) for piece in sources.pieces(name, source)]
        except Unavailable as refusal:
            logging.warning("source %s is left out, since its media cannot be had: %s", name, refusal)
            left_out[name] = refusal.problems
    return [Task(number, name, piece) for number, (name, piece) in enumerate(found)], left_out


def _cut(settings: Mapping[str, SourceSettings], tasks: Sequence[Task]) -> list[Task]:
    """Their records, in order, in tasks of which none takes long. What is made does not show how they were cut."""
    found = [(task.source, piece) for task in tasks for piece in sources.cut(settings[task.source], task.piece)]
    return [Task(number, name, piece) for number, (name, piece) in enumerate(found)]


def _refuse_without_codec(settings: PreparationSettings, surveyed: Survey) -> None:
    for stream, modalities in surveyed.modalities.items():
        missing = sorted(set(modalities) - set(settings.codecs))
        if missing:
            raise Refusal(Problem(f"stream {stream}", missing, "has no codec", "add it to prepare.codecs"))


def _unreadable(settings: PreparationSettings) -> Callable[[Item, Refusal], None]:
    """What cannot be read is refused at once where nothing may be skipped; else it is counted when it is to be encoded."""

    def meet(item: Item, refusal: Refusal) -> None:
        if not settings.most_skips:
            raise refusal

    return meet


def _codec(settings: PreparationSettings, modality: str, surveyed: Survey, directory: Path) -> Codec:
    """The codec of a modality: loaded if it was fitted on the same media with the same settings, else fitted and saved."""
    choice = settings.codecs[modality]
    kind = registry.CODECS[choice.kind]
    own = [item.identity for item in surveyed.of(modality, "train")] if kind.learns else []
    wanted = fingerprint([choice.kind, dataclasses.asdict(choice.settings), own])
    folder = directory / "codecs" / modality
    if (fitted := _fitted(folder, wanted)) is not None:
        return fitted
    media = list(surveyed.media(modality, "train", _unreadable(settings))) if kind.learns else []
    logging.info("fitting the %s codec %s on %d items", modality, choice.kind, len(media))
    folder.mkdir(parents=True, exist_ok=True)
    state = directory / "codecs" / f"{modality}.{wanted}.fit"
    codec = kind.fit(media, choice.settings, progress=_progress(modality), state=state)
    (folder / _MARK).unlink(missing_ok=True)  # it vouches for the codec that is written over
    codec.save(folder)
    atomic.write_text(folder / _MARK, json.dumps({"fingerprint": wanted, "codec": codec.fingerprint}))
    state.unlink(missing_ok=True)
    return codec


def _fitted(folder: Path, wanted: str) -> Codec | None:
    """The codec in a folder, if there is a mark that says so of this very codec. wanted: fingerprint of media and settings."""
    try:
        mark = json.loads((folder / _MARK).read_text(encoding="utf-8"))
        found, of = mark["fingerprint"], mark["codec"]
    except (OSError, ValueError, KeyError, TypeError):  # none, damaged, or of a version that did not say of which codec
        return None
    codec = registry.load(folder) if found == wanted else None
    return codec if codec is not None and codec.fingerprint == of else None


def _describe(settings: PreparationSettings, modality: str, codec: Codec, surveyed: Survey) -> dict:
    """What the manifest says of a codec."""
    media = list(itertools.islice(surveyed.media(modality, "heldout", _unreadable(settings)), CEILING_ITEMS))
    ceiling = codec.ceiling(media) if media else {}  # none where all came as codes
    return {"kind": codec.kind, "fingerprint": codec.fingerprint, "ceiling": ceiling}


def _encode(job: Job, tasks: Sequence[Task], engine: Engine) -> int:
    """Makes every part; the number of records that were skipped. Raises what workers refused, and Refusal if they skipped more
    than they may, of which none may have known."""

    def progress() -> str:
        whole = sum(1 for _ in (job.folder / "parts").glob(f"*{parts.INDEX}"))
        return f"encoded {whole} of {len(tasks)} pieces of the sources"

    engine.run(tasks, functools.partial(parts.encode, job), progress=progress)
    skipped = job.report_skips(job.directory / "skips.jsonl")
    job.raise_refusals()
    job.expect(job.part(task.number, parts.INDEX) for task in tasks)
    if skipped > job.most_skips:
        remedy = f"mend the records that it names, or raise prepare.most_skips above {job.most_skips}"
        raise Refusal(Problem(str(job.directory / "skips.jsonl"), skipped, "more records than may be skipped", remedy))
    return skipped


def _travelling(settings: Mapping[str, SourceSettings]) -> dict[str, SourceSettings]:
    """Sources as processes of another machine or folder find them."""
    return {
        name: own if own.path.startswith(sources.SAMPLES) else dataclasses.replace(own, path=os.path.abspath(own.path))
        for name, own in settings.items()
    }


def _progress(modality: str) -> Callable[[int, int, dict], None]:
    def report(step: int, steps: int, figures: dict) -> None:
        shown = ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
        logging.log_every_n_seconds(logging.INFO, "%s codec: step %d of %d, %s", 15, modality, step, steps, shown)

    return report


def _write_tfds_metadata(directory: Path, streams: Mapping[str, Stream]) -> None:
    """features.json and dataset_info.json, so that `tfds.builder_from_directory(DIR).as_data_source("train")` opens it."""
    identity = dataset_info.DatasetIdentity(
        name="mdm", version=tfds.core.Version("1.0.0"), data_dir=str(directory), module_name="mdm"
    )
    info = tfds.core.DatasetInfo(
        builder=identity, features=documents.features(), description="Documents as codes, see manifest.json."
    )
    info.set_file_format("array_record")
    found = []
    for split in SPLITS:
        own = [shard for stream in streams.values() for shard in stream.shards[split]]
        template = naming.ShardedFileTemplate(
            data_dir=epath.Path(directory), dataset_name="mdm", split=split, filetype_suffix="array_record"
        )
        lengths = [shard.documents for shard in own]
        found.append(splits.SplitInfo(split, lengths, sum(shard.bytes for shard in own), filename_template=template))
    info.set_splits(splits.SplitDict(found))
    info.write_to_directory(directory)
