"""WebDataset tar files: as their own library writes them, and damaged in every way that once passed in silence."""

import bz2
import gzip
import io
import json
import lzma
import tarfile

import numpy as np
import pytest

from mdm.data.readers import webdataset
from mdm.problems import Refusal
from tests.data.readers.reading import archive as write
from tests.data.readers.reading import items, opened, png, wav


@pytest.fixture
def archive(tmp_path):
    members = [
        (f"a/{i:02d}.{end}", own) for i in range(6) for end, own in (("png", png(i)), ("txt", b"picture %d" % i))
    ]
    return write(tmp_path / "0.tar", members)


def test_what_the_library_writes_is_read(tmp_path):
    wds = pytest.importorskip("webdataset")
    with wds.TarWriter(str(tmp_path / "a.tar")) as writer:
        for i in range(5):
            picture = np.full((4, 4, 3), i, np.uint8)
            writer.write({"__key__": f"k{i}", "png": picture, "json": {"caption": f"c {i}"}, "cls": 3})
    found = items("webdataset", tmp_path, text=("json:caption",))
    assert [item.key for item in found] == [f"own/a.tar/k{i}" for i in range(5)]
    for i, item in enumerate(found):
        assert item.concept == f"c {i}" and opened(item)["text"] == f"c {i}" and (opened(item)["image"] == i).all()


def test_samples_of_several_endings_folders_and_codes(tmp_path):
    codes = io.BytesIO()
    np.save(codes, np.arange(6).reshape(2, 3))
    write(tmp_path / "a.tar.gz", [("x/1.flac", wav()), ("x/1.txt", b"one"), ("y/1.wav", wav()), ("y/1.txt", b"two"),
                                  ("z.v.txt", b"?"), ("z.npy", codes.getvalue()), ("z.txt", b"three")], "w:gz")  # fmt: skip
    one, two, three = items("webdataset", tmp_path, image=(), audio=("flac", "wav", "npy"), split_by="sample")
    assert (one.key, two.key) == ("own/a.tar.gz/x/1", "own/a.tar.gz/y/1") and one.concept == one.key
    assert opened(one)["audio"].rate == 8000 and opened(two)["text"] == "two"
    assert opened(three)["audio"].codes.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_a_key_in_json_keeps_samples_together(tmp_path):
    write(tmp_path / "a.tar", [(f"{i}.{end}", own) for i in range(4) for end, own in
                               (("txt", b"t%d" % i), ("json", json.dumps({"site": i % 2}).encode()))])  # fmt: skip
    assert [i.concept for i in items("webdataset", tmp_path, image=(), split_by="json:site")] == ["0", "1", "0", "1"]


@pytest.mark.parametrize("value, told", [(["one", "two"], "a list"), ({"en": "one"}, "an object"), (3, "a number"),
                                         (1.5, "a number"), (False, "true or false")])  # fmt: skip
@pytest.mark.parametrize("split_by", ["text", "sample"])
def test_a_field_of_json_that_is_no_text_is_never_written_as_one(tmp_path, value, told, split_by):
    values = {"a": "one", "b": value, "c": "three"}
    write(tmp_path / "a.tar", [(f"{i}.json", json.dumps({"caption": own}).encode()) for i, own in values.items()])
    first, bad, last = map(opened, items("webdataset", tmp_path, text=("json:caption",), image=(), split_by=split_by))
    assert (first, last) == ({"text": "one"}, {"text": "three"})
    assert f"a.tar: b.json:caption: holds {told} -> name a field of text" in bad


@pytest.mark.parametrize("site", [["x"], {"x": 1}])
def test_a_key_in_json_that_is_a_list_or_an_object_is_named(tmp_path, site):
    write(tmp_path / "a.tar", [(f"0.{end}", own) for end, own in
                               (("txt", b"t"), ("json", json.dumps({"site": site}).encode()))])  # fmt: skip
    (bad,) = items("webdataset", tmp_path, image=(), split_by="json:site")
    assert "a.tar: 0.json:site: holds a" in opened(bad) and "split_by" in opened(bad)


def test_a_picture_that_is_broken_and_a_sample_that_is_not_whole_are_named(tmp_path):
    write(
        tmp_path / "a.tar",
        [("1.png", b"no"), ("1.txt", b"one"), ("2.txt", b"two"), ("3.png", png()), ("3.txt", b"\xff")],
    )
    first, second, third = map(opened, items("webdataset", tmp_path))
    assert "a.tar: 1.png" in first and "not a readable picture" in first
    assert "a.tar: 2" in second and "has none of" in second
    assert "a.tar: 3.txt" in third and "not UTF-8" in third


@pytest.mark.parametrize("damage", ["header", "hole", "cut in a member", "cut in a header", "cut between members"])
def test_a_damaged_archive_never_ends_in_silence(archive, damage):
    content = bytearray(archive.read_bytes())
    with tarfile.open(archive) as opened_:
        offsets = [member.offset for member in opened_]
    place = offsets[6]  # of sample 3
    if damage == "header":
        content[place + 5] ^= 0xFF
    elif damage == "hole":
        content[place : place + 2048] = bytes(2048)  # both members of a sample
    else:
        content = content[: place + {"cut in a member": 515, "cut in a header": 100, "cut between members": 0}[damage]]
    archive.write_bytes(content)
    known = 3 if damage == "cut in a member" else 2  # a sample is whole as soon as the next one begins
    with pytest.raises(Refusal, match=rf"0\.tar behind a/{known - 1:02d}: cannot be read any further.*never skipped"):
        items("webdataset", archive.parent)


@pytest.mark.parametrize("ending", ["", ".gz", ".xz", ".bz2", ".zst"])
def test_a_hole_of_zeros_and_joined_archives_are_told_whatever_packs_them(archive, ending):
    content = archive.read_bytes()
    with tarfile.open(archive) as opened_:
        place = [member.offset for member in opened_][6]
    archive.unlink()
    packed = archive.with_name(archive.name + ending)
    hole = content[:place] + bytes(4096) + content[place + 4096 :]
    pack = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress, ".bz2": bz2.compress, ".zst": zstd}[ending]
    for damaged, known in ((pack(hole), 1), (pack(content) + pack(content), 4), (pack(content + content), 4)):
        packed.write_bytes(damaged)
        told = rf"0\.tar{ending} behind a/{known:02d}: .*zeros end it at byte \d+.*never skipped.*joined into one"
        with pytest.raises(Refusal, match=told):
            items("webdataset", archive.parent)
    packed.write_bytes(pack(content + bytes(1 << 17)))
    assert len(items("webdataset", archive.parent)) == 6


def zstd(content):
    return pytest.importorskip("pyarrow").compress(content, codec="zstd", asbytes=True)


def test_samples_of_other_endings_are_told_not_passed_over(tmp_path):
    names = ("1.caption.txt", "1.jpeg2000", "2.png", "2.txt", "README", "d/._2.png", ".hidden.txt", "3.json")
    write(tmp_path / "a.tar", [(name, png() if name.endswith("png") else b"text") for name in names])
    first, second, third = items("webdataset", tmp_path)
    assert "a.tar: 1 = ['caption.txt', 'jpeg2000']: has none of ('txt',)" in opened(first)
    assert "name its ending in the source's option text" in opened(first)
    assert opened(second)["text"] == "text" and "a.tar: 3 = ['json']" in opened(third)


def test_names_and_texts_that_are_no_utf8(tmp_path):
    members = [("a\udcff.txt", b"one"), ("b.json", json.dumps({"caption": "\ud83d"}).encode()), ("c.txt", b"three")]
    write(tmp_path / "a.tar", members)
    found = items("webdataset", tmp_path, text=("txt", "json:caption"), image=())
    assert r"a.tar/a\udcff" in opened(found[0]) and "name without UTF-8 form" in opened(found[0])
    assert "b.json:caption: is not UTF-8" in opened(found[1])
    assert opened(found[2]) == {"text": "three"} and all(own.encode() for item in found for own in item.identity)


def test_a_member_without_bounds_is_not_read(archive, monkeypatch):
    monkeypatch.setattr(webdataset, "MOST_MEMBER", 20)
    assert all("is over 20 bytes" in opened(item) for item in items("webdataset", archive.parent))


def test_a_file_that_is_no_archive(tmp_path):
    (tmp_path / "a.tar").write_bytes(b"nothing" * 500)
    with pytest.raises(Refusal, match=r"a\.tar: cannot be read any further"):
        items("webdataset", tmp_path)
