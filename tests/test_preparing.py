"""Preparation with a config: its streams are those of the mixture, and its rows are packed before a start asks for them."""

import json
import logging
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mdm import config, preparing
from mdm.data import manifest as manifests
from mdm.data import packing
from mdm.data.engine import Engine
from mdm.data.pipeline import Rows
from mdm.problems import Refusal
from tests.data import synthetic

pytest.importorskip("apache_beam")
README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def config_of(sources, streams, **codecs):
    c = config.base()
    c.prepare.sources, c.prepare.codecs, c.prepare.heldout = sources, {"text": config.codec("bytes"), **codecs}, 0.3
    c.data.row_length, c.data.streams = 128, streams
    c.data.stages = [config.stage(**dict.fromkeys(streams, 1))]
    c.training.tokens = 1 << 20
    return c


def prose(path, stream, count=20, length=30):
    path.mkdir()
    for number in range(count):
        (path / f"{number}.txt").write_text(f"{number} ".ljust(length, "x"))
    return config.source("prose", str(path), stream)


def test_what_the_readme_prepares_is_what_a_mixture_reads(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("captions").mkdir()
    for number in range(24):
        Image.fromarray(np.full((8, 8, 3), number * 9, np.uint8)).save(f"captions/{number}.png")
    lines = [json.dumps({"caption": f"number {number}", "picture": f"{number}.png"}) for number in range(24)]
    Path("captions/all.jsonl").write_text("\n".join(lines))
    (example,) = re.findall(r'config\.source\("json-lines".*?\)', README)
    image = config.codec("fsq-image", size=8, width=4, inner_width=4, blocks=1, steps=2, batch_size=2)
    streams = {"image_text": config.stream({"text_to_image": 0.5, "image_to_text": 0.5})}
    c = config_of({"own": eval(example, {"config": config})}, streams, image=image)
    c.data.directory = str(tmp_path / "set")
    settings = config.resolve(c)
    preparing.prepared(settings, c.data.directory, Engine())
    monkeypatch.setattr(packing, "make", lambda *_: pytest.fail("packed at a start"))
    rows = Rows(settings.data)
    (stream,) = rows.streams
    assert stream.name == "image-text" and stream.documents > 12 and rows.at(np.arange(4)).rows.ids.any()
    assert config.from_dict(config.to_dict(settings), "config.json") == settings


def test_one_stream_under_two_names_is_refused_before_anything_is_made(tmp_path):
    c = config_of({"own": prose(tmp_path / "media", "texts")}, {"text": config.stream({"text": 1.0})})
    told = r"prepare\.sources: streams = \('texts',\): .*none of data\.streams, which are \('text',\)"
    with pytest.raises(Refusal, match=told):
        preparing.prepared(config.resolve(c), tmp_path / "set", Engine())
    assert not (tmp_path / "set").exists()


def test_more_streams_than_are_read_or_fewer_are_told(tmp_path, caplog):
    """One data set for several mixtures, and a trial with some of the sources, are both meant so."""
    caplog.set_level(logging.WARNING)
    own, other = prose(tmp_path / "own", "text"), prose(tmp_path / "other", "more_text")
    text = config.stream({"text": 1.0}, split_documents=True)
    more = config_of({"own": own, "other": other}, {"text": text})
    manifest = preparing.prepared(config.resolve(more), tmp_path / "more", Engine())
    assert set(manifest.streams) == {"text", "more-text"}
    assert "streams ('more-text',) are prepared, but no row of this config holds them" in caplog.text
    caplog.clear()
    fewer = config_of({"own": own}, {"text": text, "more_text": text})
    preparing.prepared(config.resolve(fewer), tmp_path / "fewer", Engine())
    assert "no source gives ('more-text',) of data.streams" in caplog.text
    assert "data.streams.more-text: is not in the data set" in caplog.text
    assert [file.name for file in (tmp_path / "fewer/plans").rglob("*.json")] == ["text.json"]


def test_a_stream_that_training_would_refuse_keeps_no_other_from_being_packed(tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    sources = {"own": prose(tmp_path / "own", "text"), "long": prose(tmp_path / "long", "other", length=300)}
    streams = {name: config.stream({"text": 1.0}) for name in ("text", "other")}
    manifest = preparing.prepared(config.resolve(config_of(sources, streams)), tmp_path / "set", Engine())
    assert len(re.findall("documents do not fit a row of 128", caplog.text)) == 2  # a split each
    assert [file.name for file in (tmp_path / "set/plans").rglob("*.json")] == ["text.json"]
    assert sorted(manifest.streams) == ["other", "text"]


def test_a_data_set_of_before_names_had_hyphens_is_told_as_what_it_is(tmp_path):
    synthetic.write(tmp_path)
    path = tmp_path / manifests.FILE
    text = path.read_text()
    path.write_text(text.replace('"image-text"', '"image_text"'))
    streams = {"image_text": config.stream({"text_to_image": 1.0})}
    c = config_of({}, streams)
    c.data.directory = str(tmp_path)
    told = r"data\.streams\.image-text: is not in the data set, which has it as image_text.*call it image-text in .*manifest"
    with pytest.raises(Refusal, match=told):
        Rows(config.resolve(c).data)
    path.write_text(text)  # as the remedy says
    assert Rows(config.resolve(c).data).streams[0].documents == 60
