"""Large files are encoded in ranges: by several workers, with progress, and to what they give as a whole."""

import json
import logging
import time

import pytest

from mdm.data import engine as engines
from mdm.data import manifest as manifests
from mdm.data import parts, preparation, sources, workspace
from mdm.data.engine import Engine
from mdm.data.readers import columns, ranges
from mdm.data.readers.prose import ProseOptions
from mdm.data.readers.reader import Piece
from mdm.data.sources import SourceSettings
from mdm.problems import Refusal
from tests.data import prose
from tests.data.readers.reading import opened
from tests.data.test_engine import assert_same, kill, unfinished

pytest.importorskip("apache_beam")
TEXTS = ["one", "", "three \u2028 and more", "x" * 200, "five", "\ufeffsix", "", "one", "nine", "ten"]


def lines(path, end="\n"):
    path.write_text("\n".join(TEXTS) + end)
    return SourceSettings("prose", str(path), "text", ProseOptions(document="line", split_by="document"))


def json_lines(path, end="\n"):
    path.write_text("\n".join(json.dumps({"text": text}) if text else "" for text in TEXTS) + end)
    return SourceSettings("json-lines", str(path), "text")


def arrow(path, kind):
    arrow_, ipc = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.ipc")
    table = arrow_.table({"text": [text or "blank" for text in TEXTS]})
    with getattr(ipc, f"new_{kind}")(str(path), table.schema) as writer:
        for start, size in ((0, 2), (2, 1), (3, 4), (7, 3)):
            writer.write_table(table.slice(start, size))
    return SourceSettings("arrow", str(path), "text")


WRITE = {
    "lines": lambda path: lines(path / "a.txt"),
    "lines without an end": lambda path: lines(path / "a.txt", ""),
    "json-lines": lambda path: json_lines(path / "a.jsonl"),
    "json-lines without an end": lambda path: json_lines(path / "a.jsonl", ""),
    "arrow": lambda path: arrow(path / "a.arrow", "file"),
    "arrow stream": lambda path: arrow(path / "a.arrow", "stream"),
}


def told(items):
    return [(item.identity, opened(item)) for item in items]


@pytest.mark.parametrize("kind", WRITE)
@pytest.mark.parametrize("size", [1, 7, 60, 10_000])
def test_ranges_give_what_the_whole_gives(tmp_path, monkeypatch, kind, size):
    source = WRITE[kind](tmp_path)
    for module in (ranges, columns):
        monkeypatch.setattr(module, "CUT", size)
    (piece,) = sources.pieces("own", source)
    cut = list(sources.cut(source, piece))
    assert told(item for own in cut for item in sources.items_of("own", source, own)) == told(
        sources.items("own", source)
    )
    assert len(cut) > 2 if size < 10 else cut == [piece] if size == 10_000 else cut


def test_what_has_no_places_to_begin_at_stays_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(ranges, "CUT", 1)
    source = lines(tmp_path / "a.txt.gz")
    assert len(list(sources.cut(source, Piece(("",), "")))) == 1
    paragraphs = SourceSettings("prose", str(tmp_path / "a.txt.gz"), "text", ProseOptions(document="paragraph"))
    assert len(list(sources.cut(paragraphs, Piece(("",), "")))) == 1
    assert len(list(sources.cut(SourceSettings("json-lines", str(tmp_path / "none"), "text"), Piece(("",), "")))) == 1


def test_a_damaged_table_is_told_as_before(tmp_path, monkeypatch):
    source = arrow(tmp_path / "a.arrow", "stream")
    (piece,) = sources.pieces("own", source)
    content = (tmp_path / "a.arrow").read_bytes()
    (tmp_path / "a.arrow").write_bytes(content[: len(content) * 2 // 3])
    monkeypatch.setattr(columns, "CUT", 1)
    with pytest.raises(Refusal, match=r"a\.arrow from row \d+: cannot be read any further"):
        for own in sources.cut(source, piece):
            list(sources.items_of("own", source, own))


@pytest.fixture
def media(tmp_path):
    path = prose.write(tmp_path / "media", files=2, lines=30)
    (path / "0.txt").write_text((path / "0.txt").read_text() + "line 3 of file 1 says 23758\nagain\nagain\n")
    return path


def settings(media):
    return prose.settings_of(media, options=ProseOptions("exact", document="line", split_by="document"))


def test_a_data_set_does_not_show_how_its_files_were_cut(media, tmp_path, monkeypatch):
    whole = prose.prepared(settings(media), tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(ranges, "CUT", 100)
        assert_same(whole, prose.prepared(settings(media), tmp_path / "cut", Engine(workers=3)))
        assert prose.prepared(settings(media), tmp_path / "whole").fingerprint == whole.fingerprint  # of before
        kill(patch, parts, "_write", 5, lambda: prose.prepared(settings(media), tmp_path / "killed"))
        made = list(tmp_path.joinpath("killed", workspace.FOLDER, "parts").glob(f"*{parts.INDEX}"))
        assert len(made) == 4  # ranges of one file
        assert_same(whole, prose.prepared(settings(media), tmp_path / "killed"))


def test_what_was_begun_without_ranges_goes_on_without(media, tmp_path, monkeypatch):
    whole = prose.prepared(settings(media), tmp_path / "whole")
    unfinished(monkeypatch, settings(media), tmp_path / "set")
    monkeypatch.setattr(ranges, "CUT", 100)
    monkeypatch.setattr(parts, "_write", lambda *_: pytest.fail("a piece was encoded again"))
    assert_same(whole, prose.prepared(settings(media), tmp_path / "set"))


def test_progress_is_told_while_pieces_are_encoded(media, tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(ranges, "CUT", 100)
    monkeypatch.setattr(engines, "_REPORT_SECONDS", 0.01)
    write = parts._write
    monkeypatch.setattr(parts, "_write", lambda *own: (time.sleep(0.05), write(*own)))
    count = len(preparation._cut(settings(media).sources, preparation._tasks(settings(media).sources)[0]))
    prose.prepared(settings(media), tmp_path / "set")
    said = [line for line in caplog.messages if line.startswith("encoded ")]
    assert count > 10 and f"encoded 1 of {count} pieces of the sources" in said
    assert len(set(said)) > count // 2 and manifests.load(tmp_path / "set")
