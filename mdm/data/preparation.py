"""Preparation: media on disk -> codecs -> codes -> a data set that TFDS opens.

Every step leaves its result on disk before the next begins, and a second start redoes nothing: codecs that were fitted on
the same media with the same settings are loaded, a data set that is whole is returned as it is.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import tensorflow_datasets as tfds
from absl import logging
from etils import epath
from tensorflow_datasets.core import dataset_info, naming, splits
from tqdm import tqdm

from mdm.codecs import registry
from mdm.codecs.codec import Codec, Media
from mdm.data import documents, exhibits, shards, sources
from mdm.data.demo.package import Unavailable
from mdm.data.manifest import FILE, SPLITS, Manifest, Shard, Stream
from mdm.data.manifest import load as load_manifest
from mdm.data.media import Item
from mdm.data.sources import SourceSettings
from mdm.fingerprint import fingerprint
from mdm.problems import Problem, Refusal, refuse_if
from mdm.tokens.hashing import mix, text_key, uniform
from mdm.tokens.rows import Document
from mdm.tokens.vocabulary import MODALITIES, Vocabulary

BATCH = 256  # items that are open at once
CEILING_ITEMS = 256  # held-out media on which a codec's ceiling is measured


@dataclasses.dataclass(frozen=True)
class CodecChoice:
    """kind: a name in `codecs.registry.CODECS`; settings: of that codec."""

    kind: str
    settings: object


@dataclasses.dataclass(frozen=True)
class PreparationSettings:
    """heldout: share of concepts kept from training; shard_documents: at most so many in a file; most_skips: unreadable
    items that may be left out (each is named in skips.jsonl) before preparation is refused."""

    sources: Mapping[str, SourceSettings]
    codecs: Mapping[str, CodecChoice]
    heldout: float = 0.1
    shard_documents: int = 4096
    most_skips: int = 0
    seed: int = 0

    def problems(self, at: str) -> list[Problem]:
        found = []
        for name, source in self.sources.items():
            found += source.problems(f"{at}.sources.{name}")
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


@dataclasses.dataclass
class _Skips:
    """Unreadable items, counted against what is allowed; written as they are met."""

    path: Path
    most: int
    count: int = 0

    def add(self, key: str, refusal: Refusal) -> None:
        self.count += 1
        with open(self.path, "a", encoding="utf-8") as file:
            for problem in refusal.problems:
                file.write(json.dumps({"key": key, "where": problem.where, "reason": problem.reason}) + "\n")
        logging.warning("skipped %s: %s", key, refusal)
        if self.count > self.most:
            remedy = f"mend it, or raise prepare.most_skips above {self.most}"
            raise Refusal([dataclasses.replace(p, remedy=f"{p.remedy}; {remedy}") for p in refusal.problems])


def prepare(settings: PreparationSettings, directory: str | Path) -> Manifest:
    """Makes the data set in `directory`, or what of it is missing. Raises Refusal for unusable sources or media."""
    refuse_if(settings.problems("prepare"))
    if not settings.sources:  # a job on a data set that is there already, or is still to be proven, names none
        raise Refusal(Problem("prepare.sources", None, "there is none", "name at least one source"))
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    listed = _list(settings)
    preparation = fingerprint(
        [_plain(settings), [[*place, [i.identity for i in own]] for place, own in listed.items()]]
    )
    if (directory / FILE).exists():
        manifest = load_manifest(directory)
        if manifest.preparation == preparation:
            logging.info("%s is already prepared", directory)
            return manifest
        raise Refusal(
            Problem(
                str(directory),
                None,
                "holds a data set prepared from other sources or settings",
                "choose another folder, or delete it",
            )
        )
    skips = _Skips(directory / "skips.jsonl", settings.most_skips)
    skips.path.unlink(missing_ok=True)
    codecs = {m: _codec(settings, m, listed, directory, skips) for m in MODALITIES if m in settings.codecs}
    vocabulary = Vocabulary.of({modality: codec.codebooks for modality, codec in codecs.items()})
    ceilings = {
        m: codec.ceiling(list(_media(listed, m, "heldout", skips, CEILING_ITEMS))) for m, codec in codecs.items()
    }
    shutil.rmtree(directory / "plans", ignore_errors=True)  # of an earlier attempt
    streams = _write(settings, listed, codecs, directory, skips)
    for (stream, split), own in listed.items():
        exhibits.write(directory, stream, split, own)
    described = {
        modality: {"kind": codec.kind, "fingerprint": codec.fingerprint, "ceiling": ceilings[modality]}
        for modality, codec in codecs.items()
    }
    manifest = Manifest(directory, vocabulary, described, streams, preparation)
    _write_tfds_metadata(directory, streams)
    manifest.save()
    return manifest


def _plain(settings: PreparationSettings) -> dict:
    """The settings as JSON, without what changes no code."""
    value = dataclasses.asdict(settings)
    del value["most_skips"]
    return value


def _list(settings: PreparationSettings) -> dict[tuple[str, str], list[Item]]:
    """Items of every (stream, split), in the order in which they are written."""
    listed: dict[tuple[str, str], list[Item]] = {}
    left_out: list[Problem] = []
    for name, source in settings.sources.items():
        for split in SPLITS:
            listed.setdefault((source.stream, split), [])
        try:
            own = list(sources.items(name, source))
        except Unavailable as refusal:
            logging.warning("source %s is left out, since its media cannot be had: %s", name, refusal)
            left_out += refusal.problems
            continue
        for item in own:
            heldout = uniform(settings.seed, text_key(item.concept)) < settings.heldout
            listed[source.stream, SPLITS[int(heldout)]].append(item)
    for (stream, split), own in listed.items():
        if not own:
            empty = Problem(f"stream {stream}", split, "would hold no documents",
                            "add media, or change prepare.heldout or prepare.seed")  # fmt: skip
            raise Refusal([*left_out, empty])
        kinds = {tuple(item.media) for item in own}
        missing = {modality for kind in kinds for modality in kind} - set(settings.codecs)
        if len(kinds) > 1:
            raise Refusal(
                Problem(f"stream {stream}", sorted(kinds), "mixes kinds of documents", "give each kind its own stream")
            )
        if missing:
            raise Refusal(Problem(f"stream {stream}", sorted(missing), "has no codec", "add it to prepare.codecs"))
        own.sort(key=lambda item: (int(mix(settings.seed, text_key(item.key))), item.key))
    return listed


def _media(listed, modality: str, split: str, skips: _Skips, most: int | None = None) -> Iterator[Media]:
    """Decoded media of one modality over all streams; what cannot be read is skipped here without being counted twice."""
    own = (item for (_, s), group in listed.items() if s == split for item in group if modality in item.media)
    for item in itertools.islice(own, most):
        try:
            yield item.media[modality]()
        except Refusal as refusal:
            if not skips.most:
                skips.add(item.key, refusal)


def _codec(settings: PreparationSettings, modality: str, listed, directory: Path, skips: _Skips) -> Codec:
    """The codec of a modality: loaded if it was fitted on the same media with the same settings, else fitted and saved."""
    choice = settings.codecs[modality]
    own = [i.identity for (_, s), group in listed.items() if s == "train" for i in group if modality in i.media]
    wanted = fingerprint([choice.kind, dataclasses.asdict(choice.settings), own])
    folder = directory / "codecs" / modality
    mark = folder / "fitted.json"
    if mark.exists() and json.loads(mark.read_text())["fingerprint"] == wanted:
        return registry.load(folder)
    media = list(_media(listed, modality, "train", skips))
    logging.info("fitting the %s codec %s on %d items", modality, choice.kind, len(media))
    folder.mkdir(parents=True, exist_ok=True)
    state = directory / "codecs" / f"{modality}.{wanted}.fit"
    codec = registry.CODECS[choice.kind].fit(media, choice.settings, progress=_progress(modality), state=state)
    codec.save(folder)
    mark.write_text(json.dumps({"fingerprint": wanted}))
    state.unlink(missing_ok=True)
    return codec


def _progress(modality: str) -> Callable[[int, int, dict], None]:
    def report(step: int, steps: int, figures: dict) -> None:
        shown = ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
        logging.log_every_n_seconds(logging.INFO, "%s codec: step %d of %d, %s", 15, modality, step, steps, shown)

    return report


def _encode(
    title: str, group: list[Item], codecs: Mapping[str, Codec], skips: _Skips
) -> Iterator[tuple[str, Document]]:
    """(key, document) of every item that can be read, in order."""
    for start in tqdm(
        range(0, len(group), BATCH), title, unit=f" x {BATCH}", mininterval=2, disable=len(group) < BATCH
    ):
        opened = []
        for item in group[start : start + BATCH]:
            try:
                opened.append((item.key, {m: read() for m, read in item.media.items()}))
            except Refusal as refusal:
                skips.add(item.key, refusal)
        codes = {m: codecs[m].encode([media[m] for _, media in opened]) for m in (opened[0][1] if opened else {})}
        for number, (key, _) in enumerate(opened):
            document = {m: own[number] for m, own in codes.items()}
            try:
                documents.encode(key, document)
            except Refusal as refusal:
                skips.add(key, refusal)
                continue
            yield key, document


def _write(settings: PreparationSettings, listed, codecs, directory: Path, skips: _Skips) -> dict[str, Stream]:
    encoded = {
        place: list(_encode(f"encoding {' '.join(place)}", group, codecs, skips)) for place, group in listed.items()
    }
    names = list(dict.fromkeys(stream for stream, _ in listed))
    written: dict[str, dict[str, tuple[Shard, ...]]] = {name: {} for name in names}
    for split in SPLITS:
        parts = [
            (name, first, encoded[name, split][first : first + settings.shard_documents])
            for name in names
            for first in range(0, len(encoded[name, split]), settings.shard_documents)
        ]
        for number, (name, first, part) in enumerate(parts):
            shard = shards.write(directory, shards.file_name(split, number, len(parts)), part, first)
            written[name][split] = (*written[name].get(split, ()), shard)
    return {
        name: Stream(
            name=name,
            modalities=tuple(m for m in MODALITIES if m in listed[name, "train"][0].media),
            shards={split: written[name].get(split, ()) for split in SPLITS},
            content={split: _content(document for _, document in encoded[name, split]) for split in SPLITS},
        )
        for name in names
    }


def _content(own: Iterable[Document]) -> dict[str, int]:
    total: dict[str, int] = {}
    for document in own:
        for modality, codes in document.items():
            total[modality] = total.get(modality, 0) + int(codes.size)
    return total


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
