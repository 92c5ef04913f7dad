"""From what other libraries wrote to a data set: sources with options, codes that were made elsewhere, bad records."""

import json

import numpy as np
import pytest

from mdm import config
from mdm.codecs.text_bpe import BpeSettings
from mdm.codecs.text_bytes import BytesSettings
from mdm.data import parts, sources
from mdm.data import survey as surveys
from mdm.data.manifest import SPLITS
from mdm.data.preparation import CodecChoice, PreparationSettings, prepare
from mdm.data.readers.arrays import ArrayOptions
from mdm.data.readers.fields import FieldOptions
from mdm.data.sources import SourceSettings
from mdm.data.workspace import Task
from mdm.problems import Refusal
from tests.data import prose

pytest.importorskip("apache_beam")
BYTES = {"text": CodecChoice("bytes", BytesSettings())}


def prepared(path, source, **changes):
    usual = {"sources": {"own": source}, "codecs": BYTES, "heldout": 0.3}
    return prepare(PreparationSettings(**usual | changes), path)


def test_a_field_of_parquet_decides_the_split(tmp_path):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    rows = {"body": [f"text {i}" for i in range(60)], "site": [f"site {i % 12}" for i in range(60)]}
    parquet.write_table(arrow.table(rows), tmp_path / "a.parquet")
    options = FieldOptions(text="body", split_by="site")
    manifest = prepared(tmp_path / "set", SourceSettings("parquet", str(tmp_path / "a.parquet"), "text", options))
    sides = [prose.texts(manifest, split=split).values() for split in ("train", "heldout")]
    assert sum(map(len, sides)) == 60 and all(sides)
    sites = [{int(text.split()[1]) % 12 for text in side} for side in sides]
    assert not sites[0] & sites[1]


def test_codes_made_elsewhere_are_taken_as_they_are_and_checked(tmp_path):
    documents = np.random.default_rng(0).integers(0, 256, (40, 6)).astype(np.uint16)
    np.save(tmp_path / "a.npy", documents)
    source = SourceSettings("arrays", str(tmp_path / "a.npy"), "text", ArrayOptions())
    manifest = prepared(tmp_path / "set", source)
    assert manifest.codecs["text"]["ceiling"] == {}
    found = {int(key.split(":")[1]): codes for key, codes in _codes(manifest)}
    assert all((found[i] == documents[i]).all() for i in range(40))
    documents[7, 3] = 256
    np.save(tmp_path / "a.npy", documents)
    with pytest.raises(Refusal, match=r"a\.npy:7.*outside of the codebooks"):
        prepared(tmp_path / "other", source)


def _codes(manifest):
    from mdm.data.shards import read_all

    for split in ("train", "heldout"):
        yield from ((stored.key, stored.content["text"]) for _, stored in read_all(manifest, "text", split))


def test_a_record_without_text_is_named_by_its_key(tmp_path, monkeypatch):
    lines = [json.dumps({"text": f"text {i}" if i != 5 else ""}) for i in range(40)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    source = SourceSettings("json-lines", str(tmp_path / "a.jsonl"), "text")
    with pytest.raises(Refusal, match=r"a\.jsonl line 6 text: holds no text but blanks"):
        prepared(tmp_path / "refused", source)
    manifest = prepared(tmp_path / "set", source, most_skips=1)
    assert len(prose.texts(manifest)) == 39
    (line,) = (tmp_path / "set/skips.jsonl").read_text().splitlines()
    assert json.loads(line)["key"] == "own/a.jsonl:6"

    encoded, begun = parts._encoded, []

    def twice(job, task, codecs):  # two workers are given one piece: what both skip counts once
        for number, own in enumerate(encoded(job, task, codecs)):
            if number == 20 and not begun:
                begun.append(task)
                parts._write(job, task)
            yield own

    monkeypatch.setattr(parts, "_encoded", twice)
    again = prepared(tmp_path / "again", source, most_skips=1)
    assert begun and prose.texts(again) == prose.texts(manifest)
    assert (tmp_path / "again/skips.jsonl").read_text() == (tmp_path / "set/skips.jsonl").read_text()


def test_codecs_that_learn_never_meet_what_is_skipped(tmp_path):
    empty = (3, 8, 14, 21, 22, 35)  # on both sides of the split: the fit and the ceiling meet them
    lines = [json.dumps({"text": f"text {i} says {i * 7919}" if i not in empty else "", "id": i}) for i in range(40)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    source = SourceSettings("json-lines", str(tmp_path / "a.jsonl"), "text", FieldOptions(split_by="id"))
    bpe = {"text": CodecChoice("bpe", BpeSettings(300))}
    with pytest.raises(Refusal, match=r"a\.jsonl line \d+ text: holds no text but blanks"):
        prepared(tmp_path / "refused", source, codecs=bpe)
    manifest = prepared(tmp_path / "set", source, codecs=bpe, most_skips=100)
    assert len(list(_codes(manifest))) == 34 and manifest.codecs["text"]["ceiling"]["unchanged"] == 1
    skipped = [json.loads(line)["key"] for line in (tmp_path / "set/skips.jsonl").read_text().splitlines()]
    assert skipped == [f"own/a.jsonl:{i + 1}" for i in empty]


def test_a_file_name_that_is_not_utf8_is_one_skip(tmp_path):
    (tmp_path / "prose").mkdir()
    for i in range(30):
        (tmp_path / f"prose/{i}.txt").write_text(f"text {i}")
    (tmp_path / "prose/caf\udce9.txt").write_text("latin")
    source = SourceSettings("prose", str(tmp_path / "prose"), "text")
    with pytest.raises(Refusal, match=r"own/caf\\udce9\.txt.*name without UTF-8 form.*rename it"):
        prepared(tmp_path / "refused", source)
    assert len(prose.texts(prepared(tmp_path / "set", source, most_skips=1))) == 30
    (line,) = (tmp_path / "set/skips.jsonl").read_text().splitlines()
    assert json.loads(line)["key"] == r"own/caf\udce9.txt"


def test_options_of_a_source_in_a_config(tmp_path):
    (tmp_path / "a.jsonl").write_text("{}")
    base = config.base().to_dict()
    base["data"] |= {"streams": {"text": config.stream({"text": 1.0}).to_dict()}, "stages": [config.stage(text=1)]}
    base["training"]["tokens"] = 1 << 20

    def resolved(**options):
        base["prepare"]["sources"] = {"j": config.source("json-lines", str(tmp_path), "text", **options).to_dict()}
        base["prepare"]["codecs"] = {"text": config.codec("bytes").to_dict()}
        return config.resolve(base)

    settings = resolved(text="body", duplicates="exact")
    assert settings.prepare.sources["j"].chosen == FieldOptions(text="body", duplicates="exact")
    assert config.from_dict(config.to_dict(settings), "config.json") == settings
    assert resolved().prepare.sources["j"].options is None
    divided = resolved(side="heldout")
    assert divided.prepare.sources["j"].side == "heldout"
    assert config.from_dict(config.to_dict(divided), "config.json") == divided
    with pytest.raises(Refusal, match=r"prepare\.sources\.j\.duplicats.*did you mean prepare\.sources\.j\.duplicates"):
        resolved(duplicats="exact")
    with pytest.raises(Refusal, match=r"prepare\.sources\.j\.duplicates.*unknown"):
        resolved(duplicates="all")


@pytest.mark.parametrize(("cap", "fitted"), [("MOST_UNFITTED", False), ("MOST_ITEMS", True), ("MOST_HELD", True)])
def test_a_survey_holds_no_more_than_its_caps_of_a_table_that_is_one_piece(tmp_path, monkeypatch, cap, fitted):
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps({"text": f"text {i}"}) for i in range(500)))
    settings = {"j": SourceSettings("json-lines", str(tmp_path / "a.jsonl"), "text")}
    tasks = [Task(0, "j", piece) for piece in sources.pieces("j", settings["j"])]
    split_of = lambda source, concept: SPLITS[concept.endswith("7")]  # noqa: E731
    look = lambda: surveys.survey(settings, tasks, split_of, 0, fitted, [])  # noqa: E731
    whole = look()
    assert len(tasks) == 1 and whole.complete and sum(map(len, whole.items.values())) == 500
    monkeypatch.setattr(surveys, cap, 100)
    found = look()
    assert not found.complete
    held = [item.held for own in found.items.values() for item in own]
    assert len(held) == 100 if cap != "MOST_HELD" else sum(held) - max(held) < 100 <= sum(held)
