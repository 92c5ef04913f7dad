"""Parquet and Arrow tables, as their own libraries write them: in pieces, by rows, with file and row named."""

import pytest

from mdm.data import sources
from mdm.data.readers import columns
from mdm.data.sources import SourceSettings
from mdm.problems import Refusal
from tests.data.readers.reading import items, opened, png, wav

arrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


def table(rows: int = 20):
    return arrow.table({
        "caption": [f"row {i}" for i in range(rows)],
        "image": [{"bytes": png(i), "path": None} for i in range(rows)],
        "site": [f"site {i % 3}" for i in range(rows)],
        "ids": [[i, i + 1] for i in range(rows)],
    })  # fmt: skip


def write(path, kind, own):
    if kind == "parquet":
        parquet.write_table(own, path / "a.parquet", row_group_size=6)
    else:
        new = arrow.ipc.new_file if kind == "file" else arrow.ipc.new_stream
        with new(str(path / "a.arrow"), own.schema) as writer:
            writer.write_table(own, max_chunksize=6)
    return "parquet" if kind == "parquet" else "arrow"


@pytest.mark.parametrize("kind", ["parquet", "file", "stream"])
def test_rows_are_items(tmp_path, kind):
    reader = write(tmp_path, kind, table())
    found = items(reader, tmp_path, text="caption", image="image", split_by="site")
    assert len(found) == 20 and found[7].key == f"own/a.{reader}:7" and found[7].concept == "site 1"
    assert opened(found[7])["text"] == "row 7" and (opened(found[7])["image"] == 7).all()
    codes = items(reader, tmp_path, text="ids", key="caption")
    assert codes[3].key == "own/row 3" and opened(codes[3])["text"].codes.tolist() == [3, 4]


def test_a_large_table_is_cut_at_row_groups_and_nothing_is_lost(tmp_path, monkeypatch):
    write(tmp_path, "parquet", table(50))
    monkeypatch.setattr(columns, "CHUNK", 10)
    settings = SourceSettings("parquet", str(tmp_path), "s", columns.FieldOptions(text="caption"))
    own = list(sources.pieces("own", settings))
    assert [(piece.first, piece.stop, piece.offset) for piece in own] == [(0, 12, 0), (12, 24, 2), (24, 36, 4), (36, 48, 6),
                                                                          (48, 50, 8)]  # fmt: skip
    found = [item for piece in own for item in sources.items_of("own", settings, piece)]
    assert [opened(item)["text"] for item in found] == [f"row {i}" for i in range(50)]


def test_rows_that_cannot_be_used_are_named(tmp_path):
    rows = {"text": ["a", None, "c"], "audio": [{"bytes": wav(), "path": None}, {"bytes": wav(), "path": None},
                                                {"bytes": None, "path": "../x.wav"}]}  # fmt: skip
    parquet.write_table(arrow.table(rows), tmp_path / "a.parquet")
    first, second, third = map(opened, items("parquet", tmp_path, audio="audio"))
    assert first["audio"].rate == 8000
    assert "a.parquet row 1" in second and "has no text" in second
    assert "a.parquet row 2 audio" in third and "outside" in third


def test_a_missing_column_and_a_damaged_file_are_refused_by_name(tmp_path):
    for kind in ("parquet", "file"):
        reader = write(tmp_path, kind, table())
        with pytest.raises(Refusal, match=r"has no column \['body'\]"):
            items(reader, tmp_path, text="body")
        (tmp_path / f"a.{reader}").write_bytes(b"nothing")
        with pytest.raises(Refusal, match=rf"a\.{reader}.*is no"):
            items(reader, tmp_path, text="caption")


def test_damage_in_the_middle_is_told_with_the_row(tmp_path):
    write(tmp_path, "parquet", table(40))
    file = tmp_path / "a.parquet"
    content = bytearray(file.read_bytes())
    place = parquet.ParquetFile(file).metadata.row_group(3).column(0).data_page_offset
    content[place : place + 40] = b"\xff" * 40
    file.write_bytes(content)
    with pytest.raises(Refusal, match=r"(?s)a\.parquet from row 0.*cannot be read any further.*never skipped"):
        items("parquet", tmp_path, text="caption")


@pytest.mark.parametrize("kind", ["parquet", "file", "stream"])
def test_a_row_that_cannot_be_decoded_costs_itself_alone(tmp_path, kind):
    texts = [b"row %d" % i if i != 100 else b"\xff" for i in range(300)]
    column = arrow.array(texts, arrow.binary()).cast(arrow.string(), safe=False)
    reader = write(tmp_path, kind, arrow.table({"text": column}))
    found = items(reader, tmp_path)
    assert len(found) == 300 and "a." in opened(found[100]) and "row 100: cannot be decoded" in opened(found[100])
    assert [opened(item)["text"] for item in found[101:]] == [f"row {i}" for i in range(101, 300)]


@pytest.mark.parametrize("error", [arrow.ArrowNotImplementedError, arrow.ArrowKeyError, TypeError])
def test_whatever_arrow_raises_is_told_with_the_file(tmp_path, monkeypatch, error):
    write(tmp_path, "parquet", table())
    monkeypatch.setattr(
        parquet.ParquetFile, "iter_batches", lambda *_, **__: (_ for _ in ()).throw(error("no such type"))
    )
    with pytest.raises(Refusal, match=r"a\.parquet from row 0.*no such type"):
        items("parquet", tmp_path, text="caption")


@pytest.mark.parametrize("width", [8, 16, 32])
@pytest.mark.parametrize("kind", ["parquet", "stream"])
def test_whole_number_samples_are_scaled_by_the_width_of_their_column(tmp_path, kind, width):
    half = 1 << width - 2
    samples = arrow.array([{"array": [half, -half, 0], "sampling_rate": 8000}] * 2, arrow.struct(
        {"array": arrow.list_(getattr(arrow, f"int{width}")()), "sampling_rate": arrow.int32()}))  # fmt: skip
    reader = write(tmp_path, kind, arrow.table({"text": ["a", "b"], "audio": samples}))
    found = [opened(item)["audio"] for item in items(reader, tmp_path, audio="audio")]
    assert [(own.samples.tolist(), own.rate) for own in found] == [([0.5, -0.5, 0.0], 8000)] * 2


def test_samples_of_a_column_that_tells_no_width_need_a_declared_one(tmp_path):
    rows = {"text": ["a"], "audio": [{"array": [1 << 14, 0], "sampling_rate": 8000}]}
    reader = write(tmp_path, "parquet", arrow.table(rows))
    assert "a.parquet row 0 audio" in (found := opened(items(reader, tmp_path, audio="audio")[0])) and '"bits"' in found
    assert opened(items(reader, tmp_path, audio="audio", bits=16)[0])["audio"].samples.tolist() == [0.5, 0.0]
