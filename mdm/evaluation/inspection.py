"""What a prepared data set holds, on one page with nothing outside of it: what a model will see.

Needs the extra `report` (jinja2, matplotlib).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mdm.codecs import registry
from mdm.codecs.codec import Codec
from mdm.data import census, summary
from mdm.data.census import Usage
from mdm.data.manifest import SPLITS, Manifest
from mdm.data.pipeline import Rows
from mdm.evaluation import pages, shown
from mdm.tokens.rows import CONDITION, FIXED, TARGET, Row
from mdm.tokens.tasks import TASK_NAMES
from mdm.tokens.vocabulary import MODALITIES, Vocabulary

_TEMPLATE = Path(__file__).parent / "inspection.html.j2"
_EXCERPT = 600  # characters of a text that are shown
_FREQUENT = 12  # codes
_STRIPS = 16  # rows
_ROLES = {FIXED: "fixed", CONDITION: "given", TARGET: "target"}


@dataclasses.dataclass(frozen=True)
class Piece:
    """A part of a row that is all of one kind. share: of the row's positions; modality: "" for special tokens and padding;
    role: "given", "target", "fixed" or "padding"; label: for people."""

    share: float
    modality: str
    role: str
    label: str


def pieces(row: Row, vocabulary: Vocabulary) -> tuple[Piece, ...]:
    """A row from left to right, in as few parts as tell segments, modalities and roles apart."""
    modality = np.where(row.ranges >= 0, np.array(vocabulary.modality_of_range)[row.ranges], -1)
    kinds = np.stack([row.segments, modality, row.roles], axis=1)
    starts = np.flatnonzero(np.concatenate([[True], (kinds[1:] != kinds[:-1]).any(axis=1)]))
    found = []
    for start, stop in zip(starts, [*starts[1:], len(kinds)], strict=True):
        segment, own, role = kinds[start]
        if segment == 0:
            name, role_name, label = "", "padding", "padding"
        else:
            name = MODALITIES[own] if own >= 0 else ""
            role_name = _ROLES[int(role)]
            task = TASK_NAMES[row.tasks[start]]
            label = f"segment {segment}, {task}: {name or 'task and begin tokens'}, {role_name}"
        found.append(Piece((stop - start) / len(kinds), name, role_name, f"{label}, {stop - start} positions"))
    return tuple(found)


def render(manifest: Manifest, rows: Rows | None, shown_documents: int, read: int) -> str:
    """The page.

    rows:            of the run that will read the data set, if its config is known: their fill and the first of them are shown
    shown_documents: documents of each stream and split that are decoded, evenly spread
    read:            documents of each stream whose codes are counted
    Raises Refusal for data or codecs that are damaged, and, naming the extra, if a package is missing.
    """
    page = pages.template(_TEMPLATE)
    import markupsafe

    from mdm.evaluation import plots

    codecs = {
        m: registry.load(manifest.directory / "codecs" / m)
        for m in MODALITIES
        if (manifest.directory / "codecs" / m).is_dir()
    }
    usage = census.usage(manifest, SPLITS[0], read)
    lengths = {name: census.lengths(manifest, name, SPLITS[0]) for name in manifest.streams}
    safe = markupsafe.Markup  # our own plots; everything else on the page is escaped
    return page.render(
        title=f"What is in {manifest.directory.name}",
        manifest=manifest,
        splits=SPLITS,
        summary=_summary(manifest),
        lengths={name: safe(plots.lengths(name, own)) for name, own in lengths.items()},
        usage=[
            {"own": own, "frequent": _frequent(own, codecs), "never": len(own.counts) - own.used, "read": own.documents}
            for own in usage
        ],
        frequencies=safe(plots.frequencies({own.name: own.counts for own in usage})),
        streams=rows.streams if rows else (),
        row_length=rows.settings.row_length if rows else 0,
        strips=[_strip(rows, number) for number in range(_STRIPS)] if rows else (),
        documents=[
            {"stream": name, "split": split, "documents": _documents(manifest, name, split, shown_documents, codecs)}
            for name in manifest.streams
            for split in SPLITS
        ],
    )


def _summary(manifest: Manifest) -> dict[str, Any] | None:
    """What preparation wrote down; None in a data set that has none."""
    path = manifest.directory / summary.FILE
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _frequent(usage: Usage, codecs: dict[str, Codec]) -> list[tuple[str, float]]:
    """The most frequent codes and their shares; of text, as the codec writes them."""
    order = np.argsort(-usage.counts, kind="stable")[:_FREQUENT]
    order = order[usage.counts[order] > 0]
    shares = usage.counts[order] / max(1, usage.counts.sum())
    names = [str(code) for code in order]
    if usage.name == "text" and "text" in codecs:
        names = [repr(text) for text in codecs["text"].decode([np.array([code], np.int32) for code in order])]
    return list(zip(names, shares.tolist(), strict=True))


def _strip(rows: Rows, number: int) -> dict[str, Any]:
    batch = rows[number]
    return {
        "number": number,
        "stream": rows.streams[int(batch.stream)].name,
        "pieces": pieces(batch.rows, rows.manifest.vocabulary),
    }


def _documents(manifest: Manifest, stream: str, split: str, most: int, codecs: dict[str, Codec]) -> Sequence[dict]:
    found = []
    for number, stored in census.spread(manifest, stream, split, most):
        document = stored.content
        media = {
            m: codecs[m].decode([codes])[0] if m in codecs else str(codes.tolist()) for m, codes in document.items()
        }
        own = {m: medium[:_EXCERPT] if isinstance(medium, str) else medium for m, medium in media.items()}
        sizes = {modality: codes.shape for modality, codes in document.items()}
        labels = {m: f"{m}, {' x '.join(map(str, shape))} codes" for m, shape in sizes.items()}
        found.append({"number": number, "key": stored.key, "media": [shown.medium(labels[m], own[m]) for m in own]})
    return found
