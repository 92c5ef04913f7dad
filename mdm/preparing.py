"""Preparation with a config: what `mdm.prepare` does, from a look at the streams that are asked for to their packing plans."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from absl import logging

from mdm.config import Settings
from mdm.data import packing, plans
from mdm.data.engine import Engine
from mdm.data.manifest import SPLITS, Manifest
from mdm.data.packing import Manner
from mdm.data.pipeline import DataSettings
from mdm.data.preparation import prepare
from mdm.data.streams import misfits
from mdm.problems import Problem, refuse_if


def prepared(settings: Settings, directory: str | Path, engine: Engine) -> Manifest:
    """Makes the data set of a config in `directory`, or what of it is missing, and the packing plans of its training rows.

    Raises Refusal as `mdm.data.preparation.prepare` does, and for streams that the config's mixture does not know.
    """
    sources = settings.prepare.sources.values()
    refuse_if(_strangers([source.stream for source in sources], settings.data.streams))
    manifest = prepare(settings.prepare, directory, engine)
    for name, stream in manifest.streams.items():
        for split in SPLITS:
            content = ", ".join(f"{count} {modality}" for modality, count in stream.content[split].items())
            logging.info("%s %s: %d documents, %s tokens", name, split, stream.documents(split), content)
    for modality, codec in manifest.codecs.items():
        figures = ", ".join(f"{name} {value:.4g}" for name, value in codec["ceiling"].items())
        logging.info("%s codec %s, on held-out media: %s", modality, codec["kind"], figures)
    plans.make_all(manifest, _manners(manifest, settings.data), engine)
    return manifest


def _strangers(given: Iterable[str], asked: Iterable[str]) -> list[Problem]:
    """What is wrong with names of streams. given: of sources; asked: of the mixture.

    A data set may hold more than one mixture reads, and may be tried with some of its sources: that is only told. Names of both
    kinds that match none of the other are one stream under two names.
    """
    given, asked = tuple(dict.fromkeys(given)), tuple(asked)
    unread, lacking = (tuple(n for n in own if n not in other) for own, other in ((given, asked), (asked, given)))
    if not given:  # told by preparation itself
        return []
    if unread and lacking:
        reason = f"{unread} are none of data.streams, which are {asked}, and no source gives its {lacking}"
        return [Problem("prepare.sources: streams", given, reason, "give the stream one name in both")]
    if unread:
        logging.warning(
            "streams %s are prepared, but no row of this config holds them: data.streams has %s", unread, asked
        )
    if lacking:
        logging.warning("no source gives %s of data.streams: training on this data set will refuse the config", lacking)
    return []


def _manners(manifest: Manifest, data: DataSettings) -> dict[str, Manner]:
    """How the streams of a config are packed; without those that training with it would refuse, which are told now."""
    found = {}
    for name, own in data.streams.items():
        if problems := misfits(name, manifest, own):
            logging.warning("training with this config refuses the data set: %s", problems[0])
            continue
        manner = own.manner(data.row_length)
        long = {split: _long(manifest, name, manner, split) for split in SPLITS}
        if manner.drop or not long["train"]:
            found[name] = manner
    return found


def _long(manifest: Manifest, name: str, manner: Manner, split: str) -> int:
    """How many documents do not fit a row, which is told."""
    count, least = packing.too_long(manifest.directory, manifest.streams[name], manner, split)
    if count:
        told = "%s %s: %d documents do not fit a row of %d (all fit one of %d)"
        does = ", and are left out" if manner.drop else f": training refuses them without data.streams.{name}.drop_long"
        logging.warning(told + does, name, split, count, manner.row_length, least)
    return count
