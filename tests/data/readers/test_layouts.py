"""Folders of pictures, LJSpeech, LibriSpeech, TFDS, arrays: what is there is read, what is not is named."""

import errno
import io
import json
import os
import resource

import numpy as np
import pytest
import tensorflow_datasets as tfds

from mdm.data import sources
from mdm.data.readers import arrays, reader, tfds_folder
from mdm.data.sources import SourceSettings
from mdm.problems import Refusal
from tests.data import synthetic
from tests.data.readers.layouts import FILE, WRITE
from tests.data.readers.reading import archive, items, opened, png, tfds_set, wav


def test_pictures_with_captions_beside_them(tmp_path):
    for name in ("a/1.png", "a/2.PNG", "b/3.png", "b/4.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(png(5))
    for name, text in (("a/1.txt", "one\n"), ("a/2.txt", "two"), ("b/3.txt", " \n")):
        (tmp_path / name).write_text(text)
    found = items("image-folder", tmp_path, split_by="folder")
    assert [item.key for item in found] == ["own/a/1.png", "own/a/2.PNG", "own/b/3.png", "own/b/4.png"]
    assert opened(found[0])["text"] == "one" and (opened(found[0])["image"] == 5).all()
    assert found[0].concept == found[1].concept == "own/a"
    assert "b/3.txt" in opened(found[2]) and "no text but blanks" in opened(found[2])
    assert "b/4.txt" in opened(found[3]) and "cannot be read" in opened(found[3])
    assert [item.concept for item in items("image-folder", tmp_path)][:2] == ["one", "two"]


def test_ljspeech(tmp_path):
    (tmp_path / "wavs").mkdir()
    (tmp_path / "wavs/LJ001-0001.wav").write_bytes(wav())
    lines = ["LJ001-0001|Dr. A|Doctor A", "LJ001-0002|x|x", "LJ002-0001", "../up|y|y"]
    (tmp_path / "metadata.csv").write_text("\n".join(lines) + "\n")
    found = items("ljspeech", tmp_path)
    assert opened(found[0])["text"] == "Doctor A" and opened(found[0])["audio"].rate == 8000
    assert opened(items("ljspeech", tmp_path, normalized=False)[0])["text"] == "Dr. A"
    assert found[0].concept == found[1].concept == "own/LJ001" and found[0].key == "own/LJ001-0001"
    assert "LJ001-0002.wav" in opened(found[1])
    assert "metadata.csv line 3" in opened(found[2])
    assert "wavs/up.wav" in opened(found[3])  # stays in the folder


def test_transcripts_end_at_newlines_alone_and_a_bad_one_costs_itself(tmp_path):
    texts = ["one\u2028still one", "two\x85still two", "three\x0bstill three"]
    for folder, lines in (("lj/metadata.csv", [f"LJ1-{i}|{own}|{own}" for i, own in enumerate(texts)]),
                          ("libri/1/2/1-2.trans.txt", [f"1-2-{i} {own}" for i, own in enumerate(texts)])):  # fmt: skip
        (tmp_path / folder).parent.mkdir(parents=True)
        (tmp_path / folder).write_bytes("\r\n".join(lines).encode() + b"\nLJ1-\xff|x\n" + lines[0].encode())
    for kind, folder in (("ljspeech", "lj"), ("librispeech", "libri")):
        *found, bad, last = items(kind, tmp_path / folder)
        assert [item.media["text"]() for item in (*found, last)] == [*texts, texts[0]]
        assert "line 4" in opened(bad) and "not UTF-8" in opened(bad)


def test_a_table_of_ljspeech_is_streamed_in_pieces_that_find_their_rows(tmp_path, monkeypatch):
    from mdm.data import media
    from mdm.data.readers import speech

    monkeypatch.setattr(speech, "chunks", lambda records: reader.chunks(records, 3))
    monkeypatch.setattr(media, "MOST_TEXT", 100)  # of one text, not of the table
    (tmp_path / "metadata.csv").write_text("".join(f"LJ1-{i}|text é {i}\n" + "\n" * (i % 2) for i in range(40)))
    settings = SourceSettings("ljspeech", str(tmp_path), "s")
    own = list(sources.pieces("own", settings))
    assert len(own) == 14
    found = [item.media["text"]() for piece in own for item in sources.items_of("own", settings, piece)]
    assert found == [f"text é {i}" for i in range(40)]


def test_librispeech(tmp_path):
    for speaker, chapter in ((19, 198), (19, 227), (26, 495)):
        folder = tmp_path / f"train/{speaker}/{chapter}"
        folder.mkdir(parents=True)
        for clip in range(2):
            (folder / f"{speaker}-{chapter}-{clip:04d}.flac").write_bytes(wav())
        text = "".join(f"{speaker}-{chapter}-{clip:04d} WORDS {clip}\n" for clip in range(2))
        (folder / f"{speaker}-{chapter}.trans.txt").write_text(text + ("nothing\n" if speaker == 26 else ""))
    found = items("librispeech", tmp_path)
    assert len(found) == 7 and {item.concept for item in found[:4]} == {"own/19"}
    assert found[0].key == "own/19-198-0000" and opened(found[1])["text"] == "WORDS 1"
    assert opened(found[0])["audio"].samples.shape == (80,)
    assert "26-495.trans.txt line 3" in opened(found[-1])
    assert {i.concept for i in items("librispeech", tmp_path, split_by="chapter")[:4]} == {"own/19-198", "own/19-227"}


@pytest.mark.parametrize("change", ["sound", "transcript", "gone"])
@pytest.mark.parametrize("kind", ["librispeech", "ljspeech"])
def test_a_sound_of_another_size_and_an_edited_transcript_make_another_piece(tmp_path, kind, change):
    WRITE[kind](tmp_path, [b"one", b"two"])
    settings = SourceSettings(kind, str(tmp_path), "s")
    (before,) = sources.pieces("own", settings)
    assert list(sources.pieces("own", settings)) == [before]
    sound = sorted(tmp_path.rglob("*-0001.*"))[0]
    if change == "sound":
        sound.write_bytes(wav(90))
    elif change == "gone":
        sound.unlink()
    else:
        table = tmp_path / FILE[kind]
        table.write_bytes(table.read_bytes().replace(b"two", b"six"))
    (after,) = sources.pieces("own", settings)
    assert after.version != before.version and after.files == before.files


def test_a_data_set_of_tfds_is_read(tmp_path):
    synthetic.write(tmp_path / "set", documents=9)
    from mdm.data import manifest
    from mdm.data.preparation import _write_tfds_metadata

    _write_tfds_metadata(tmp_path / "set", manifest.load(tmp_path / "set").streams)
    found = items("tfds", tmp_path / "set", text="key", split="train")
    builder = tfds.builder_from_directory(tmp_path / "set")
    assert [opened(item)["text"] for item in found] == [r["key"].decode() for r in builder.as_data_source("train")]
    assert found[3].key == "own/train:3"
    codes = items("tfds", tmp_path / "set", text="text", key="key")
    assert opened(codes[0])["text"].codes.tolist() == builder.as_data_source("train")[0]["text"].tolist()
    with pytest.raises(Refusal, match="cannot be opened by TFDS"):
        items("tfds", tmp_path / "set", split="validation")
    with pytest.raises(Refusal, match=r"features\.json.*cannot be opened by TFDS"):
        items("tfds", tmp_path / "set/features.json")
    with pytest.raises(Refusal, match="no feature"):
        items("tfds", tmp_path / "set", text="caption")


def test_sounds_of_tfds_without_tensorflow_are_mixed_to_one_channel(tmp_path):
    struct = {"array": tfds.features.Tensor(shape=(None, 2), dtype=np.int16), "sampling_rate": np.int32}
    records = [{"text": b"a", "audio/array": [16384, 0, -32768, 0, 0, 16384], "audio/sampling_rate": 8000}]
    tfds_set(tmp_path, {"text": tfds.features.Text(), "audio": struct}, records)
    sound = opened(items("tfds", tmp_path, audio="audio")[0])["audio"]
    assert (sound.samples.tolist(), sound.rate) == ([0.25, -0.5, 0.25], 8000)


def test_a_sound_feature_of_tfds(tmp_path, monkeypatch):
    """TFDS itself needs TensorFlow to make one; here stands one that it did not initialise."""
    features = {name: object.__new__(tfds.features.Audio) for name in ("stereo", "rateless")}
    features["stereo"]._sample_rate, features["rateless"]._sample_rate = 8000, None
    record = {"stereo": np.array([[16384, 0], [-32768, 0]], np.int64), "rateless": np.array([1, 2], np.int64)}
    monkeypatch.setattr(tfds_folder, "_opened", lambda *_: (features, [record]))
    read = lambda **options: opened(items("tfds", tmp_path, text="", **options)[0])  # noqa: E731
    assert read(audio="stereo", bits=16)["audio"].samples.tolist() == [0.25, -0.5]
    assert "record 0 stereo" in (refused := read(audio="stereo")) and 'option "bits"' in refused
    assert "record 0 rateless" in (refused := read(audio="rateless", bits=16)) and "sampling_rate" in refused


def test_a_feature_that_tfds_cannot_build_names_what_is_missing(tmp_path, monkeypatch):
    def missing(*_):
        raise ModuleNotFoundError("No module named 'tensorflow'")

    monkeypatch.setattr(tfds, "builder_from_directory", missing)
    with pytest.raises(Refusal, match="No module named 'tensorflow'.*pip install tensorflow"):
        items("tfds", tmp_path)


@pytest.mark.parametrize("layout", ["stacked", "lengths", "end"])
def test_arrays_of_codes(tmp_path, monkeypatch, layout):
    monkeypatch.setattr(arrays, "CHUNK", 4)
    rng = np.random.default_rng(0)
    lengths = np.full(11, 5) if layout == "stacked" else rng.integers(1, 9, 11)
    documents = [rng.integers(0, 200, n).astype(np.uint16) for n in lengths]
    if layout == "stacked":
        np.save(tmp_path / "a.npy", np.stack(documents))
    elif layout == "lengths":
        np.save(tmp_path / "a.npy", np.concatenate(documents))
        np.save(tmp_path / "a.lengths.npy", lengths)
    else:
        np.save(tmp_path / "a.npy", np.concatenate([np.append(own, 999).astype(np.uint16) for own in documents]))
    found = items("arrays", tmp_path, end=999 if layout == "end" else -1)
    assert [opened(item)["text"].codes.tolist() for item in found] == [own.tolist() for own in documents]
    assert found[6].key == "own/a.npy:6"


def test_items_of_many_arrays_keep_few_files_open(tmp_path):
    for number in range(100):
        np.save(tmp_path / f"{number:03d}.npy", np.array([[number, 1]]))
    already, limits = len(os.listdir("/proc/self/fd")), resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (already + 30, limits[1]))
    try:
        found = [opened(item)["text"].codes.tolist() for item in items("arrays", tmp_path)]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert found == [[number, 1] for number in range(100)]
    np.save(tmp_path / "000.npy", np.array([[7, 7], [8, 8]]))
    assert opened(items("arrays", tmp_path)[0])["text"].codes.tolist() == [7, 7]


def test_a_limit_of_open_files_is_no_damaged_array(tmp_path, monkeypatch):
    np.save(tmp_path / "a.npy", np.arange(4).reshape(2, 2))

    def full(*_, **__):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(np, "load", full)
    with pytest.raises(Refusal, match=r"a\.npy: cannot be opened.*as many files open as it may.*ulimit -n") as caught:
        items("arrays", tmp_path)
    assert "no array" not in str(caught.value)


@pytest.mark.parametrize("code", [2**32 + 5, -1])
def test_a_code_that_int32_would_turn_into_another_one_is_refused(tmp_path, code):
    own = np.array([[1, 2], [3, code], [5, 6]], np.int64)
    np.save(tmp_path / "a.npy", own)
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps({"text": row}) for row in own.tolist()))
    members = []
    for number, row in enumerate(own):
        np.save(file := io.BytesIO(), row)
        members.append((f"{number}.npy", file.getvalue()))
    archive(tmp_path / "a.tar", members)
    for kind, where, options in (("arrays", "a.npy document 1", {}), ("json-lines", "a.jsonl line 2 text", {}),
                                 ("webdataset", "a.tar: 1.npy", {"text": ("npy",), "image": ()})):  # fmt: skip
        first, bad, last = map(opened, items(kind, tmp_path, **options))
        assert (first["text"].codes.tolist(), last["text"].codes.tolist()) == ([1, 2], [5, 6]), kind
        assert where in bad and "codes, which lie within" in bad, kind


def test_arrays_that_cannot_be_cut_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(10))
    with pytest.raises(Refusal, match=r"a\.npy.*neither its lengths nor the code at an end"):
        items("arrays", tmp_path)
    np.save(tmp_path / "a.lengths.npy", np.array([3, 3]))
    with pytest.raises(Refusal, match="its lengths sum up to 6"):
        items("arrays", tmp_path)
    np.save(tmp_path / "a.npy", np.ones(6))
    with pytest.raises(Refusal, match="no array of whole numbers"):
        items("arrays", tmp_path)
    np.save(tmp_path / "a.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(Refusal, match="no array of whole numbers"):
        items("arrays", tmp_path)


def test_tables_come_in_pieces_that_find_their_rows(tmp_path, monkeypatch):
    from mdm.data.readers import tables

    monkeypatch.setattr(tables, "chunks", lambda records: reader.chunks(records, 3))
    text = "file\tcaption\n" + "".join(f"{i}.png\tnumber {i} é\n" + "\n" * (i % 2) for i in range(8))
    (tmp_path / "t.tsv").write_text(text, encoding="utf-8")
    settings = SourceSettings("captioned-images", str(tmp_path), "s")
    own = list(sources.pieces("own", settings))
    assert len(own) == 3
    found = [item.concept for piece in own for item in sources.items_of("own", settings, piece)]
    assert found == [f"number {i} é" for i in range(8)]


def test_options_are_checked(tmp_path):
    for kind, wrong in (("prose", {"document": "word"}), ("image-folder", {"split_by": "size"}),
                        ("webdataset", {"split_by": "x"}), ("librispeech", {"split_by": "x"}), ("arrays", {"modality": "x"}),
                        ("json-lines", {"text": ""}), ("json-lines", {"bits": 64}),
                        ("ljspeech", {"duplicates": "some"})):  # fmt: skip
        options = sources.SOURCES[kind].options(**wrong)
        assert SourceSettings(kind, str(tmp_path), "s", options).problems("at"), kind
