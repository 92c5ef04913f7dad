"""The page of a data set shows what stands in it, as it will be laid out."""

import re

import numpy as np
import pytest

from mdm.codecs.text_bytes import Bytes
from mdm.data import shards
from mdm.data.manifest import SPLITS, Manifest, Stream
from mdm.data.pipeline import Rows
from mdm.evaluation import inspection
from mdm.tokens.rows import CONDITION, TARGET
from tests import binaries, made, tiny
from tests.data import synthetic
from tests.training.conftest import tiny_job

HOSTILE = "<script>alert('x')</script>"


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    directory = tmp_path_factory.mktemp("inspected") / "set"
    tiny.write_data(directory)
    return Rows(tiny_job(directory).data)


def test_the_parts_of_a_row_are_the_row(rows):
    for number in range(12):
        row = rows[number].rows
        found, length = inspection.pieces(row, synthetic.VOCABULARY), len(row.ids)
        assert sum(piece.share for piece in found) == pytest.approx(1)
        for role, wanted in (("given", CONDITION), ("target", TARGET)):
            share = sum(piece.share for piece in found if piece.role == role)
            assert share * length == pytest.approx((row.roles == wanted).sum())
        padding = sum(piece.share for piece in found if piece.role == "padding")
        assert padding * length == pytest.approx((row.segments == 0).sum())
        assert all(piece.modality for piece in found if piece.role in ("given", "target"))


def test_the_page_stands_alone_and_shows_every_stream(rows):
    page = inspection.render(rows.manifest, rows, shown_documents=3, read=50)
    assert not re.search(r"(src|href)=[\"'](?!data:|#)", page)
    for name, stream in rows.manifest.streams.items():
        assert f"{name}, train" in page and f"{stream.documents('train'):,}" in page
    for stream in rows.streams:
        assert f"{100 * stream.fill:.1f} %" in page
    assert page.count('<div class="row">') == 16 and page.count('<div class="piece">') == 3 * 3 + 3 * 3


def test_without_a_config_it_says_how_to_see_rows(rows):
    page = inspection.render(rows.manifest, None, shown_documents=0, read=1)
    assert "--config" in page and '<div class="row">' not in page and '<div class="piece">' not in page


def test_foreign_text_is_only_text(tmp_path):
    document = {"text": np.frombuffer(HOSTILE.encode(), np.uint8).astype(np.int32)}
    own = {
        split: (shards.write(tmp_path, shards.file_name(split, 0, 1), [(HOSTILE, document)], 0),) for split in SPLITS
    }
    streams = {"text": Stream("text", ("text",), own, {split: {"text": document["text"].size} for split in SPLITS})}
    Bytes().save(tmp_path / "codecs" / "text")
    page = inspection.render(Manifest(tmp_path, made.VOCABULARY, {}, streams, "made"), None, 5, 5)
    assert "<script" not in page and page.count("&lt;script&gt;") >= 4


def test_the_binary_writes_the_page_and_touches_nothing_else(tmp_path):
    tiny.write_data(tmp_path / "set")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "set").rglob("*")}
    done = binaries.run("prepare", f"--inspect={tmp_path / 'set'}", f"--output={tmp_path / 'page.html'}")
    assert done.returncode == 0, done.stderr
    assert "Documents, decoded again" in (tmp_path / "page.html").read_text()
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "set").rglob("*")}


def test_a_folder_without_a_data_set_is_refused(tmp_path):
    done = binaries.run("prepare", f"--inspect={tmp_path}")
    assert done.returncode == 2 and "there is no prepared data set here" in done.stderr
