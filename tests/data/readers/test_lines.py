"""Plain text and JSON lines, compressed or not: streams, with file and line named for what cannot be read."""

import bz2
import gzip
import json
import lzma

import pytest

from mdm.data import media
from mdm.data.readers import compression
from mdm.problems import Refusal
from tests.data.readers.reading import items, opened, png, wav

PACK = {".gz": gzip.compress, ".xz": lzma.compress, ".bz2": bz2.compress, "": bytes}


def zstd(content: bytes) -> bytes:
    arrow = pytest.importorskip("pyarrow")
    return arrow.compress(content, "zstd", asbytes=True)


@pytest.mark.parametrize("ending", ["", ".gz", ".xz", ".bz2", ".zst"])
def test_compressed_files_read_like_plain_ones(tmp_path, ending):
    content = "".join(json.dumps({"text": f"number {i}"}) + "\n" for i in range(3000)).encode()
    (tmp_path / f"a.jsonl{ending}").write_bytes(zstd(content) if ending == ".zst" else PACK[ending](content))
    found = items("json-lines", tmp_path)
    assert [opened(item)["text"] for item in found] == [f"number {i}" for i in range(3000)]
    assert found[7].key == f"own/a.jsonl{ending}:8" and found[7].concept == "number 7"


@pytest.mark.parametrize("ending", [".gz", ".xz", ".bz2", ".zst"])
def test_a_file_that_is_cut_off_is_refused_and_says_where_it_ends(tmp_path, ending):
    content = "".join(f"{i} {i * 7919 % 104729}\n" for i in range(20_000)).encode()
    packed = zstd(content) if ending == ".zst" else PACK[ending](content)
    (tmp_path / f"a.txt{ending}").write_bytes(packed[: len(packed) * 3 // 4])
    with pytest.raises(
        Refusal, match=rf"a\.txt{ending} behind line \d+.*cannot be read any further.*mend or remove the file"
    ):
        items("prose", tmp_path, document="line")
    assert f"a.txt{ending}" in opened(
        items("prose", tmp_path)[0]
    )  # a file that is one document is a record like others
    (tmp_path / f"a.txt{ending}").rename(tmp_path / f"a.jsonl{ending}")
    with pytest.raises(Refusal, match=rf"a\.jsonl{ending} behind line \d+.*cannot be read any further"):
        items("json-lines", tmp_path)


def test_lines_that_cannot_be_used_are_named_one_by_one(tmp_path):
    lines = [
        b'{"text": "good"}',
        b"",
        b'{"text": ',
        b'{"body": "x"}',
        b'["text"]',
        b'{"text": "\xff"}',
        b'{"text": null}',
    ]
    (tmp_path / "a.jsonl").write_bytes(b"\n".join(lines))
    found = items("json-lines", tmp_path)
    assert opened(found[0]) == {"text": "good"}
    for item, line, reason in zip(found[1:], (3, 4, 5, 6, 7), ("no JSON", "has no text", "no JSON", "UTF-8", "has no text"),
                                  strict=True):  # fmt: skip
        assert f"a.jsonl line {line}" in opened(item) and reason in opened(item)


def test_fields_files_and_codes_of_json(tmp_path):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures/1.png").write_bytes(png(9))
    rows = [{"caption": "one", "file": "pictures/1.png", "who": "ann", "id": "x1"},
            {"caption": "two", "file": "../outside.png", "who": "ann", "id": "x2"},
            {"caption": [3, 4, 5], "file": [[1, 2], [3, 4]], "who": "bob", "id": "x3"}]  # fmt: skip
    (tmp_path / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = items("json-lines", tmp_path, text="caption", image="file", key="id", split_by="who")
    assert [item.key for item in found] == ["own/x1", "own/x2", "own/x3"]
    assert [item.concept for item in found] == ["ann", "ann", "bob"]
    assert (opened(found[0])["image"] == 9).all()
    assert "metadata.jsonl line 2 file" in opened(found[1]) and "outside" in opened(found[1])
    assert opened(found[2])["text"].codes.tolist() == [3, 4, 5]
    assert opened(found[2])["image"].codes.tolist() == [[1, 2], [3, 4]]


def test_documents_of_prose(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"one\r\nstill one\n\n\n two\nthree\n")
    assert [opened(i)["text"] for i in items("prose", tmp_path, document="line")] == [
        "one",
        "still one",
        " two",
        "three",
    ]
    found = items("prose", tmp_path, document="paragraph", split_by="document")
    assert [opened(item)["text"] for item in found] == ["one\nstill one", " two\nthree"]
    assert [item.concept for item in found] == ["own/a.txt:1", "own/a.txt:5"]
    assert [item.concept for item in items("prose", tmp_path, document="line")] == ["own/a.txt"] * 4


def test_a_line_that_is_not_utf8_costs_only_itself(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"one\n\xff\xfe\nthree\n")
    first, second, third = map(opened, items("prose", tmp_path, document="line"))
    assert (first, third) == ({"text": "one"}, {"text": "three"})
    assert "a.txt line 2" in second and "not UTF-8" in second


def test_a_text_without_end_is_refused_before_it_is_read(tmp_path, monkeypatch):
    from mdm.data.readers import json_lines, prose

    for module in (media, prose, json_lines):
        monkeypatch.setattr(module, "MOST_TEXT", 100)
    (tmp_path / "a.txt").write_bytes(b"x" * 1000 + b"\nshort\n")
    assert "over 100 bytes" in opened(items("prose", tmp_path)[0])
    found = [opened(item) for item in items("prose", tmp_path, document="line")]
    assert len(found) == 2 and "over 100 bytes" in found[0] and found[1] == {"text": "short"}
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "' + b"x" * 1000 + b'"}\n{"text": "short"}\n')
    found = [opened(item) for item in items("json-lines", tmp_path)]
    assert len(found) == 2 and "over 100 bytes" in found[0] and found[1] == {"text": "short"}


def test_an_edited_file_has_another_version(tmp_path):
    file = tmp_path / "a.jsonl"
    file.write_text('{"text": "one"}\n')
    before = media.version_of(file)
    file.write_text('{"text": "two"}\n')
    assert media.version_of(file) != before
    assert compression.find(tmp_path, ".jsonl") == ["a.jsonl"]


def test_an_empty_folder_is_refused(tmp_path):
    for kind in ("prose", "json-lines"):
        with pytest.raises(Refusal, match="holds no"):
            items(kind, tmp_path)


@pytest.mark.parametrize("audio, reason", [
    ({"array": [0.5, 0.25], "sampling_rate": "16k"}, "sampling_rate is no number"),
    ({"array": [[0.5] * 40] * 2, "sampling_rate": 8000}, "no samples"), ({"array": [0.5]}, "sampling_rate is no number"),
    ({"array": [0.5, 0.25], "sampling_rate": 1e400}, "sampling_rate is no number"),
    ({"array": [[0.5], [0.25, 0.5]], "sampling_rate": 8000}, "is no array"), ([[1], [2, 3]], "is no array"),
    ("a\0b.wav", "is no path"), ("\ud83d.wav", "is no path"),
    ("x" * 300, "not a readable sound"), ({"path": None}, "neither bytes"),
    ({"array": [], "sampling_rate": 8000}, "no samples"), ({"array": ["x"], "sampling_rate": 8000}, "no samples"),
])  # fmt: skip
def test_a_sound_that_is_none_costs_its_line_alone(tmp_path, audio, reason):
    (tmp_path / "good.wav").write_bytes(wav())
    rows = [{"text": "a", "audio": own} for own in ("good.wav", audio, {"path": "good.wav"})]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    first, bad, last = map(opened, items("json-lines", tmp_path, audio="audio"))
    assert first["audio"].rate == last["audio"].rate == 8000
    assert reason in bad and ("a.jsonl line 2 audio" in bad or "x" * 300 in bad)


def test_an_item_tells_what_its_lists_hold_in_memory(tmp_path):
    rows = [{"text": [0] * 1000, "image": [[0] * 50] * 20}, {"text": "ab", "image": [[0]]}]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    lists, text = items("json-lines", tmp_path, image="image")
    assert lists.held >= 8 * 2000 and text.held < 100


def test_half_of_a_surrogate_pair_is_told_with_its_line(tmp_path):
    rows = [{"text": "a", "site": "x"}, {"text": "b\ud83d", "site": "x"}, {"text": "c", "site": "\udc80"}]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = items("json-lines", tmp_path, split_by="site")
    assert opened(found[0]) == {"text": "a"}
    assert "a.jsonl line 2 text: is not UTF-8" in opened(found[1])
    assert "own/a.jsonl:3" in opened(found[2]) and "concept without UTF-8 form" in opened(found[2])
    assert all(own.encode() for item in found for own in item.identity)


def test_samples_of_json_need_a_declared_width_unless_they_are_floats(tmp_path):
    rows = [[16384, -32768], [0.5, -1.0], [1 << 15, 0]]
    lines = [json.dumps({"text": "a", "audio": {"array": own, "sampling_rate": 8000}}) for own in rows]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    whole, floats, _ = map(opened, items("json-lines", tmp_path, audio="audio"))
    assert "a.jsonl line 1 audio" in whole and 'option "bits"' in whole
    assert floats["audio"].samples.tolist() == [0.5, -1.0]
    whole, floats, loud = map(opened, items("json-lines", tmp_path, audio="audio", bits=16))
    assert whole["audio"].samples.tolist() == floats["audio"].samples.tolist() == [0.5, -1.0]
    assert "a.jsonl line 3 audio" in loud and "outside of 16 bits" in loud
