import dataclasses
import json
import os
import re

import numpy as np
import pytest
import tensorflow_datasets as tfds

from mdm.codecs.text_bytes import Bytes
from mdm.data import manifest, shards
from mdm.data.verification import verify
from mdm.exits import REFUSED
from mdm.fingerprint import fingerprint
from mdm.problems import Fault, Refusal
from tests import binaries
from tests.data import synthetic


@pytest.fixture
def made(tmp_path):
    return synthetic.write(tmp_path)


def some_shard(made):
    return made.streams["image-text"].shards["train"][0]


def test_save_and_load(made):
    found = manifest.load(made.directory)
    assert found.fingerprint == made.fingerprint and found.vocabulary == made.vocabulary
    assert found.streams == made.streams


def test_no_data_set(tmp_path):
    with pytest.raises(Refusal, match=r"manifest.json.*mdm\.prepare"):
        manifest.load(tmp_path)


def test_missing_shard_is_named(made):
    (made.directory / some_shard(made).file).unlink()
    with pytest.raises(Refusal, match=f"{some_shard(made).file}.*missing"):
        manifest.load(made.directory)


def test_truncated_shard_is_named(made):
    path = made.directory / some_shard(made).file
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(Refusal, match=f"{some_shard(made).file}.*bytes"):
        manifest.load(made.directory)


def test_every_disagreement_is_listed(made):
    for shard in made.streams["text"].shards["train"]:
        (made.directory / shard.file).unlink()
    with pytest.raises(Refusal) as caught:
        manifest.load(made.directory)
    assert len(caught.value.problems) == len(made.streams["text"].shards["train"])


def test_a_shard_with_other_records_than_the_manifest_says(made):
    shard = some_shard(made)
    value = json.loads((made.directory / "manifest.json").read_text())
    for entry in value["streams"]["image-text"]["shards"]["train"]:
        entry["documents"] -= entry["file"] == shard.file
    (made.directory / "manifest.json").write_text(json.dumps(value))
    changed = manifest.load(made.directory)
    with pytest.raises(Refusal, match=f"{shard.file} = {shard.documents}.*manifest says {shard.documents - 1}"):
        shards.ShardReader(changed.directory, some_shard(changed)).read([0])


def test_damaged_content_of_the_right_size(made):
    path = made.directory / some_shard(made).file
    data = bytearray(path.read_bytes())
    data[: len(data)] = bytes(len(data))
    path.write_bytes(data)
    with pytest.raises(Refusal, match=some_shard(made).file):
        shards.ShardReader(made.directory, some_shard(made)).read([0])


def test_storage_that_does_not_answer_is_no_damage(made, monkeypatch):
    """The kernel answers reads of the open file with EIO, as a mounted bucket does in a bad moment: the next start goes on."""
    shard = some_shard(made)
    path, reader = made.directory / shard.file, shards.ShardReader(made.directory, shard)
    first = reader.read([0])
    (number,) = (int(name) for name in os.listdir("/proc/self/fd") if _opened(name) == str(path))
    kept, no_answer = os.dup(number), os.open("/proc/self/mem", os.O_RDONLY)
    try:
        os.dup2(no_answer, number)
        with pytest.raises(Fault, match=f"{shard.file} records .*Input/output error.*whole"):
            reader.read([shard.documents - 1])
    finally:
        os.dup2(kept, number)
        os.close(kept)
        os.close(no_answer)
    assert reader.read([0])[0].key == first[0].key
    monkeypatch.setattr(shards.np, "load", _no_answer)
    with pytest.raises(Fault, match="no answer"):
        shards.lengths(made.directory, shard)


def _opened(name: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{name}")
    except OSError:
        return ""


def _no_answer(*_, **__):
    raise TimeoutError("no answer")


def test_lengths_that_disagree(made):
    shard = some_shard(made)
    np.save(shards.lengths_path(made.directory, shard), np.zeros((3, 3), np.int32))
    with pytest.raises(Refusal, match=r"lengths.*does not match"):
        shards.lengths(made.directory, shard)


def test_verification_names_everything_that_is_not_what_was_written(made):
    assert verify(made.directory, 2).fingerprint == made.fingerprint
    one, two, three, four = (made.streams["text"].shards["train"][0], *made.streams["image-text"].shards["train"][:3])
    path = made.directory / one.file
    data = bytearray(path.read_bytes())
    data[-1] ^= 1  # of the right size, and no reader looks there
    path.write_bytes(data)
    manifest.load(made.directory)
    (made.directory / two.file).unlink()
    sizes = shards.lengths(made.directory, three)
    sizes[4, 0] += 1
    np.save(shards.lengths_path(made.directory, three), sizes)
    shards.lengths_path(made.directory, four).unlink()
    with pytest.raises(Refusal) as caught:
        verify(made.directory, 2)
    told = "\n".join(map(str, caught.value.problems))
    assert len(caught.value.problems) == 4
    for file, reason in (
        (one, "its SHA-256 is not"),
        (two, "missing"),
        (three, "document 4"),
        (four, "does not match"),
    ):
        assert re.search(f"{file.stem.replace('mdm-train', '.*')}.*{reason}", told), (reason, told)
    done = binaries.run("prepare", f"--verify={made.directory}")
    assert done.returncode == REFUSED and "4 problems" in done.stderr and "SHA-256" in done.stderr


def test_verification_looks_at_the_codecs(tmp_path):
    own = synthetic.write(tmp_path)
    Bytes().save(tmp_path / "codecs/text")
    described = lambda name: {"text": {"kind": "bytes", "fingerprint": name, "ceiling": {}}}  # noqa: E731
    dataclasses.replace(own, codecs=described("bytes")).save()
    verify(tmp_path)
    dataclasses.replace(own, codecs=described("other")).save()
    with pytest.raises(Refusal, match="codecs/text.*manifest says codec other"):
        verify(tmp_path)


def test_vocabulary_of_another_data_set(made, tmp_path):
    text = (made.directory / "vocabulary.json").read_text().replace('"symbols": 300', '"symbols": 299')
    (made.directory / "vocabulary.json").write_text(text)
    with pytest.raises(Refusal, match=r"vocabulary\.json"):
        manifest.load(made.directory)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 99}', '{"format": 1}'])
def test_damaged_manifest(made, text):
    (made.directory / "manifest.json").write_text(text)
    with pytest.raises(Refusal, match=r"manifest\.json.*is not a manifest"):
        manifest.load(made.directory)


def test_a_shard_outside_the_folder_is_refused(made):
    text = (made.directory / "manifest.json").read_text().replace(some_shard(made).file, "../evil")
    (made.directory / "manifest.json").write_text(text)
    with pytest.raises(Refusal, match="plain file name"):
        manifest.load(made.directory)


@pytest.mark.parametrize("name", ["../../../pwned", "a/b", "", ".hidden", "-x", "text\n", "x" * 49])
def test_a_stream_has_a_plain_name_that_is_its_key(made, name):
    path = made.directory / "manifest.json"
    value = json.loads(path.read_text())
    value["streams"]["text"]["name"] = name
    path.write_text(json.dumps(value))
    with pytest.raises(Refusal, match=r"manifest\.json: stream text = .*another name than its key"):
        manifest.load(made.directory)
    value["streams"][name] = value["streams"].pop("text")
    path.write_text(json.dumps(value))
    with pytest.raises(Refusal, match=r"manifest\.json: stream = .*no plain name"):
        manifest.load(made.directory)


def test_documents_survive_the_round_trip_and_tfds_reads_them(made):
    from mdm.data.preparation import _write_tfds_metadata

    _write_tfds_metadata(made.directory, made.streams)
    source = tfds.builder_from_directory(str(made.directory)).as_data_source("train")
    total = sum(stream.documents("train") for stream in made.streams.values())
    assert len(source) == total
    ours = [item for name in made.streams for item in shards.read_all(made, name, "train")]
    for theirs, (_, stored) in zip(source, ours, strict=True):
        key, document = stored.key, stored.content
        assert theirs["key"].decode() == key and theirs["concept"].decode() == fingerprint(key)
        for modality in ("text", "image", "audio"):
            flat = document[modality].reshape(-1) if modality in document else np.zeros(0, np.int32)
            np.testing.assert_array_equal(theirs[modality], flat)
