"""What a look at the sources tells before anything is encoded: sources without a record, and streams of one concept."""

import json
import logging

import numpy as np
import pytest

from mdm.codecs.text_bytes import BytesSettings
from mdm.data import survey as surveys
from mdm.data.engine import Engine
from mdm.data.preparation import CodecChoice, PreparationSettings, prepare
from mdm.data.readers import folders, speech
from mdm.data.readers.arrays import ArrayOptions
from mdm.data.readers.fields import FieldOptions
from mdm.data.readers.prose import ProseOptions
from mdm.data.sources import SourceSettings
from mdm.problems import Refusal
from tests.data import prose
from tests.data.readers.reading import archive

pytest.importorskip("apache_beam")
BYTES = {"text": CodecChoice("bytes", BytesSettings())}


def prepared(path, **sources):
    return prepare(PreparationSettings(sources, BYTES, heldout=0.3), path, Engine())


def parquet(path):
    arrow, written = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    written.write_table(arrow.table({"text": arrow.array([], arrow.string())}), path)


BARREN = {
    "json-lines": ("a.jsonl", lambda path: path.write_text("")),
    "webdataset": ("a.tar", lambda path: archive(path, [])),
    "parquet": ("a.parquet", parquet),
    "prose": ("a.txt", lambda path: path.write_text("\n \n\n")),
    "arrays": ("a.npy", lambda path: np.save(path, np.zeros((0, 4), np.uint16))),
}


@pytest.mark.parametrize("kind", BARREN)
def test_a_source_without_a_record_is_refused_beside_a_good_one(tmp_path, kind):
    name, write = BARREN[kind]
    (tmp_path / "barren").mkdir()
    write(tmp_path / "barren" / name)
    options = ProseOptions(document="line") if kind == "prose" else None
    barren = SourceSettings(kind, str(tmp_path / "barren"), "text", options)
    good = SourceSettings("prose", str(prose.write(tmp_path / "good")), "text", prose.LINES)
    with pytest.raises(
        Refusal, match=r"prepare\.sources\.own\.path.*barren.*not hold a single record -> .*take the source out"
    ):
        prepared(tmp_path / "set", good=good, own=barren)
    assert not list((tmp_path / "set").rglob("*.array_record*"))


def test_documents_are_counted_by_source(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    good = SourceSettings("prose", str(prose.write(tmp_path / "good")), "text", prose.LINES)
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps({"text": f"text {i % 10}"}) for i in range(20)))
    lines = SourceSettings("json-lines", str(tmp_path / "a.jsonl"), "text", FieldOptions(duplicates="exact"))
    manifest = prepared(tmp_path / "set", good=good, lines=lines)
    counts = json.loads((tmp_path / "set/summary.json").read_text())["sources"]
    of = lambda source, split: sum(k.startswith(source) for k in prose.texts(manifest, split=split))  # noqa: E731
    assert counts == {source: {s: of(source, s) for s in ("train", "heldout")} for source in ("good", "lines")}
    assert sum(counts["good"].values()) == 60 and sum(counts["lines"].values()) == 10
    assert (
        f"source lines: {counts['lines']['train']} train, {counts['lines']['heldout']} heldout documents" in caplog.text
    )


def test_a_stream_of_one_concept_is_told_how_to_divide_it(tmp_path, monkeypatch, caplog):
    (tmp_path / "corpus.txt").write_text("\n".join(f"line {number}" for number in range(300)))
    corpus = SourceSettings("prose", str(tmp_path / "corpus.txt"), "text", ProseOptions(document="line"))
    told = (
        'would hold no documents, for all that are drawn are of one concept -> give the source own split_by="document"'
    )
    with pytest.raises(Refusal, match=told):
        prepared(tmp_path / "set", own=corpus)
    monkeypatch.setattr(surveys, "MOST_UNFITTED", 100)  # of more than is looked at it cannot be known yet
    with pytest.raises(Refusal, match=told):
        prepared(tmp_path / "more", own=corpus)
    assert "stream text: all documents that were looked at are of one concept" in caplog.text


@pytest.mark.parametrize(
    ("options", "finer"),
    [
        (speech.LibriSpeechOptions(), 'split_by="chapter" or "text"'),
        (speech.LjSpeechOptions(), 'split_by="text"'),
        (folders.FolderOptions(), 'split_by="folder" or "file"'),
        (ProseOptions(), 'document="paragraph" or "line", with split_by="document"'),
        (prose.LINES, ""),
        (FieldOptions(), "split_by=FIELD, of a field whose values differ"),
        (ArrayOptions(), ""),
    ],
)
def test_every_kind_knows_what_divides_a_concept(options, finer):
    assert options.finer == finer
