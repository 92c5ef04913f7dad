"""Preparation: exact codes in a data set that TFDS opens; a second start redoes nothing; bad media are named."""

import dataclasses
import json
import re

import numpy as np
import pytest
import soundfile
import tensorflow_datasets as tfds
from PIL import Image

from mdm.codecs import registry
from mdm.codecs.audio_fsq import MelFsqSettings
from mdm.codecs.image_fsq import ImageFsqSettings
from mdm.codecs.text_bytes import BytesSettings
from mdm.data import exhibits, parts, preparation, shards, sources, tally
from mdm.data import manifest as manifests
from mdm.data.demo.package import Unavailable
from mdm.data.preparation import CodecChoice, PreparationSettings, prepare
from mdm.data.readers.prose import ProseOptions
from mdm.data.readers.reader import whole
from mdm.data.sources import SourceSettings
from mdm.data.workspace import Job
from mdm.exits import REFUSED
from mdm.fingerprint import fingerprint
from mdm.problems import Problem, Refusal
from tests import binaries
from tests.data import prose


def write_media(root):
    rng = np.random.default_rng(0)
    for folder in ("pictures", "sounds", "prose"):
        (root / folder).mkdir(parents=True)
    for i in range(24):
        Image.fromarray(rng.integers(0, 255, (8, 8, 3)).astype(np.uint8)).save(root / f"pictures/{i}.png")
        soundfile.write(root / f"sounds/{i}.wav", rng.normal(size=3000) * 0.1, 16_000)
        (root / f"prose/{i}.txt").write_text(f"document {i} " * 5)
    for folder, column, end in (("pictures", "caption", "png"), ("sounds", "transcript", "wav")):
        lines = [f"{i}.{end}\tnumber {i // 2}" for i in range(24)]
        (root / folder / "table.tsv").write_text("\n".join([f"file\t{column}", *lines]) + "\n")


def settings_of(root, **changes) -> PreparationSettings:
    return PreparationSettings(
        **{
            "sources": {
                "p": SourceSettings("captioned-images", str(root / "pictures"), "image-text"),
                "s": SourceSettings("transcribed-speech", str(root / "sounds"), "audio-text"),
                "t": SourceSettings("prose", str(root / "prose"), "text"),
            },
            "codecs": {
                "text": CodecChoice("bytes", BytesSettings()),
                "image": CodecChoice(
                    "fsq-image", ImageFsqSettings(size=8, width=4, inner_width=4, blocks=1, steps=2, batch_size=2)
                ),
                "audio": CodecChoice("mel-fsq", MelFsqSettings(width=4, blocks=1, steps=2, batch_size=2, crop=8)),
            },
            "shard_documents": 10,
            "heldout": 0.3,
        }
        | changes
    )


@pytest.fixture
def media(tmp_path):
    write_media(tmp_path / "media")
    return tmp_path / "media"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    root = tmp_path_factory.mktemp("prepared")
    write_media(root / "media")
    return settings_of(root / "media"), prepare(settings_of(root / "media"), root / "set")


def documents(manifest, stream, split):
    own = manifest.streams[stream].shards[split]
    return [d for shard in own for d in shards.ShardReader(manifest.directory, shard).read(range(shard.documents))]


def test_it_opens_with_tfds(prepared):
    _, manifest = prepared
    builder = tfds.builder_from_directory(manifest.directory)
    for split in manifests.SPLITS:
        source = builder.as_data_source(split)
        assert len(source) == sum(stream.documents(split) for stream in manifest.streams.values())
        assert any(record["image"].size for record in source) and any(record["audio"].size for record in source)


def test_codes_are_those_of_the_codecs(prepared):
    settings, manifest = prepared
    text = registry.load(manifest.directory / "codecs" / "text")
    image = registry.load(manifest.directory / "codecs" / "image")
    found = {d.key: d.content for split in manifests.SPLITS for d in documents(manifest, "image-text", split)}
    assert len(found) == 24
    path = settings.sources["p"].path
    for key in list(found)[:4]:
        number = int(key.split("/")[1].split(".")[0])
        assert text.decode([found[key]["text"]]) == [f"number {number // 2}"]
        picture = np.asarray(Image.open(f"{path}/{number}.png"))
        np.testing.assert_array_equal(found[key]["image"], image.encode([picture])[0])


def test_a_concept_lies_on_one_side(prepared):
    _, manifest = prepared
    for stream in ("image-text", "audio-text"):
        sides = [
            {d.content["text"].tobytes() for d in documents(manifest, stream, split)} for split in manifests.SPLITS
        ]
        assert all(sides) and not sides[0] & sides[1]


def test_a_document_keeps_its_concept(prepared):
    """Pairs of one text share it; a document of prose is its own; as TFDS sees it, too."""
    _, manifest = prepared
    found = {}
    for stream in manifest.streams:
        for own in (own for split in manifests.SPLITS for own in documents(manifest, stream, split)):
            of = own.key if stream == "text" else own.content["text"].astype(np.uint8).tobytes().decode()
            assert own.concept == fingerprint(of)
            found[own.key] = own.concept
    builder = tfds.builder_from_directory(manifest.directory)
    theirs = {r["key"].decode(): r["concept"].decode() for s in manifests.SPLITS for r in builder.as_data_source(s)}
    assert theirs == found


def test_every_shard_holds_at_most_what_was_said_and_codecs_report_their_ceiling(prepared):
    _, manifest = prepared
    assert all(
        0 < s.documents <= 10 for stream in manifest.streams.values() for own in stream.shards.values() for s in own
    )
    assert "psnr_db" in manifest.codecs["image"]["ceiling"] and "mel_l1_db" in manifest.codecs["audio"]["ceiling"]


def test_a_second_start_redoes_nothing(prepared, monkeypatch):
    settings, manifest = prepared
    before = {p: p.stat().st_mtime_ns for p in manifest.directory.rglob("*") if p.is_file()}
    again = prepare(settings, manifest.directory)
    assert again.fingerprint == manifest.fingerprint
    assert before == {p: p.stat().st_mtime_ns for p in manifest.directory.rglob("*") if p.is_file()}


def test_an_interrupted_preparation_keeps_its_codecs(media, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(preparation, "_encode", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            prepare(settings_of(media), tmp_path / "set")
    stamp = (tmp_path / "set/codecs/image/weights.npz").stat().st_mtime_ns
    with pytest.raises(Refusal, match="no prepared data set"):
        manifests.load(tmp_path / "set")
    prepare(settings_of(media), tmp_path / "set")
    assert (tmp_path / "set/codecs/image/weights.npz").stat().st_mtime_ns == stamp


def test_other_media_in_the_same_folder_are_refused(prepared):
    settings, manifest = prepared
    with pytest.raises(Refusal, match="prepared from other sources"):
        prepare(dataclasses.replace(settings, seed=1), manifest.directory)


def damage(media, kind):
    if kind == "picture":
        (media / "pictures/3.png").write_bytes(b"nothing")
        return r"pictures/3\.png"
    if kind == "sound":
        soundfile.write(media / "sounds/5.wav", np.zeros(0), 16_000)
        return r"sounds/5\.wav"
    if kind == "missing":
        (media / "sounds/5.wav").unlink()
        return r"sounds/5\.wav"
    (media / "prose/7.txt").write_bytes(b"\xff\xfe\xfa")
    return r"prose/7\.txt"


@pytest.mark.parametrize("kind", ["picture", "sound", "missing", "text"])
def test_bad_media_are_refused_by_name(media, tmp_path, kind):
    with pytest.raises(Refusal, match=damage(media, kind)):
        prepare(settings_of(media), tmp_path / "set")


def test_up_to_a_stated_number_bad_media_are_skipped_and_each_is_reported(media, tmp_path):
    for kind in ("picture", "sound", "text"):
        damage(media, kind)
    with pytest.raises(Refusal, match="most_skips"):
        prepare(settings_of(media, most_skips=2), tmp_path / "refused")
    manifest = prepare(settings_of(media, most_skips=3), tmp_path / "set")
    reported = [json.loads(line) for line in (tmp_path / "set/skips.jsonl").read_text().splitlines()]
    assert sorted(line["key"] for line in reported) == ["p/3.png", "s/5.wav", "t/7.txt"]
    assert sum(stream.documents(split) for stream in manifest.streams.values() for split in manifests.SPLITS) == 69


def lines_with_bad_ones(root, files, bad):
    """Files of twenty lines, of which the first `bad` are no UTF-8."""
    root.mkdir()
    for number in range(files):
        own = [b"\xff" if line < bad else b"line %d of %d" % (line, number) for line in range(20)]
        (root / f"{number}.txt").write_bytes(b"\n".join(own))
    return root


def test_more_skips_than_are_allowed_are_refused_though_no_worker_knew_of_the_others(tmp_path, monkeypatch):
    media = lines_with_bad_ones(tmp_path / "media", files=3, bad=2)
    allowed = prose.settings_of(media, most_skips=6)
    with monkeypatch.context() as patch:
        patch.setattr(tally.Tally, "exceeds", lambda *_: False)
        with pytest.raises(Refusal, match=r"skips\.jsonl = 6: more records than may be skipped.*most_skips above 5"):
            prepare(dataclasses.replace(allowed, most_skips=5), tmp_path / "set")
    monkeypatch.setattr(parts, "_write", lambda *_: pytest.fail("a piece was encoded again"))
    assert len(prose.texts(prepare(allowed, tmp_path / "set"))) == 54


def test_what_others_skip_is_looked_at_now_and_then(tmp_path, monkeypatch):
    media, looks = lines_with_bad_ones(tmp_path / "media", files=10, bad=19), []
    skips = Job.skips
    monkeypatch.setattr(Job, "skips", lambda own: (looks.append(own), skips(own))[1])
    monkeypatch.setattr(tally, "LOOK_SECONDS", 3600.0)
    settings = prose.settings_of(media, most_skips=190, heldout=0.5)
    assert len(prose.texts(prepare(settings, tmp_path / "set"))) == 10
    assert len(looks) == 2  # by the first record, and at the end
    with pytest.raises(Refusal, match=r"9\.txt line 18: .*most_skips above 188"):
        prepare(dataclasses.replace(settings, most_skips=188), tmp_path / "other")
    monkeypatch.setattr(tally, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(tally, "_SHARE", 0)
    before = len(looks)
    prepare(settings, tmp_path / "third")
    assert len(looks) - before == 191


def test_every_wrong_setting_is_listed_at_once(media):
    settings = settings_of(
        media, heldout=1.5, shard_documents=0, codecs={"video": CodecChoice("bytes", BytesSettings())}
    )
    found = [p.where for p in settings.problems("prepare")]
    assert found == ["prepare.codecs", "prepare.heldout", "prepare"]


@pytest.mark.parametrize("stream", ["../../../evil", "a/b", "", ".."])
def test_nothing_is_written_outside_of_the_output_whatever_a_stream_is_called(media, tmp_path, stream):
    (tmp_path / "deep/er/still").mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    named = {"t": SourceSettings("prose", str(media / "prose"), stream)}
    with pytest.raises(Refusal, match=r"prepare\.sources\.t\.stream.*no plain name"):
        prepare(settings_of(media, sources=named), tmp_path / "deep/er/still/set")
    assert sorted(tmp_path.rglob("*")) == before


def test_buckets_are_refused_and_no_folder_of_their_name_appears(media, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    elsewhere = {"p": SourceSettings("prose", "gs://b/prose", "text"), "e": SourceSettings("emoji", "s3://b/e", "i")}
    with pytest.raises(Refusal) as caught:
        prepare(settings_of(media, sources=elsewhere), "gs://b/x")
    wheres = {problem.where for problem in caught.value.problems}
    assert wheres == {"--output", "prepare.sources.p.path", "prepare.sources.e.path"}
    assert all("mount the bucket" in problem.remedy for problem in caught.value.problems)
    done = binaries.run("prepare", "--inspect=gs://b/x", "--output=gs://b/page.html", folder=tmp_path)
    assert done.returncode == REFUSED and "--inspect" in done.stderr and "--output" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["media"]
    shipped = {"t": SourceSettings("prose", "samples://prose", "text")}
    assert settings_of(media, sources=shipped).problems("prepare") == []


_CONFIG = """
from mdm import config


def get_config():
    c = config.base()
    c.prepare.sources = {{"t": config.source("prose", "{media}", "text")}}
    c.prepare.codecs = {{"text": config.codec("bytes")}}
    c.prepare.heldout = 0.3
    c.data.row_length = 64
    c.data.streams = {{"text": config.stream({{"text": 1.0}})}}
    c.data.stages = [config.stage(text=1)]
    c.training.tokens = 1 << 20
    return c
"""


def test_the_binary_counts_what_training_would_refuse(tmp_path):
    (tmp_path / "media").mkdir()
    for number in range(20):
        (tmp_path / f"media/{number}.txt").write_text("x" * (100 if number < 6 else 30))
    (tmp_path / "own.py").write_text(_CONFIG.format(media=tmp_path / "media"))
    done = binaries.run("prepare", f"--config={tmp_path}/own.py", f"--output={tmp_path}/set")
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stderr.splitlines() if "do not fit a row of 64" in line]
    assert sum(int(re.search(r"(\d+) documents", line)[1]) for line in told) == 6
    assert all("data.streams.text.drop_long" in line for line in told)


def test_a_stream_without_codec_or_of_mixed_documents_is_refused(media, tmp_path):
    settings = settings_of(media)
    text_only = {"text": settings.codecs["text"]}
    with pytest.raises(Refusal, match="no codec"):
        prepare(dataclasses.replace(settings, codecs=text_only), tmp_path / "a")
    mixed = {name: dataclasses.replace(source, stream="one") for name, source in settings.sources.items()}
    with pytest.raises(Refusal, match="mixes kinds"):
        prepare(dataclasses.replace(settings, sources=mixed), tmp_path / "b")


def test_sources_lie_on_the_side_that_they_declare_whatever_is_held_out(tmp_path):
    """Also where the two share a text; a third source of the stream is still drawn by concept."""
    plain = prose.settings_of(prose.write(tmp_path / "c"), heldout=0.5)
    drawn = plain.sources["t"]
    made = prose.write(tmp_path / "a"), prose.write(tmp_path / "b", files=2)
    train, heldout = (
        dataclasses.replace(drawn, path=str(path), side=side) for path, side in zip(made, manifests.SPLITS, strict=True)
    )
    named = {"train": train, "valid": heldout, "drawn": drawn}
    manifest = prepare(dataclasses.replace(plain, sources=named), tmp_path / "set")
    found = {split: [d.key.split("/")[0] for d in documents(manifest, "text", split)] for split in manifests.SPLITS}
    assert found["train"].count("train") == 60 and found["heldout"].count("valid") == 24
    assert "valid" not in found["train"] and "train" not in found["heldout"]
    assert 0 < found["train"].count("drawn") < 60
    alone = {name: dataclasses.replace(own, side="train") for name, own in named.items()}
    with pytest.raises(Refusal, match="'heldout': would hold no documents.*the side of a source"):
        prepare(dataclasses.replace(plain, sources=alone), tmp_path / "none")
    unknown = dataclasses.replace(plain, sources={"t": dataclasses.replace(drawn, side="test")})
    assert [problem.where for problem in unknown.problems("prepare")] == ["prepare.sources.t.side"]


@pytest.mark.parametrize("document", ["line", "paragraph", "file"])
def test_prose_that_lies_on_one_side_counts_by_documents(tmp_path, document):
    """A published file of validation would be one concept, and the error of an evaluation over it could not be told."""
    media = prose.write(tmp_path / "media", files=3)
    for file in media.iterdir():
        file.write_text(file.read_text().replace("\n", "\n\n"))
    declared, drawn = (
        SourceSettings("prose", str(media), "text", ProseOptions(document=document), side=side)
        for side in ("heldout", sources.BY_CONCEPT)
    )
    found, split = list(sources.items("own", declared)), list(sources.items("own", drawn))
    assert len(found) == (3 if document == "file" else 36)
    assert [item.concept for item in found] == [item.key for item in split] and len({i.concept for i in split}) == 3


def test_the_error_over_a_published_file_is_told(tmp_path):
    """Its documents are groups of their own to the evaluator."""
    plain = prose.settings_of(prose.write(tmp_path / "train"), options=ProseOptions(document="line"))
    train = dataclasses.replace(plain.sources["t"], side="train")
    valid = dataclasses.replace(train, path=str(prose.write(tmp_path / "valid", files=1)), side="heldout")
    manifest = prepare(dataclasses.replace(plain, sources={"t": train, "v": valid}), tmp_path / "set")
    assert len({document.concept for document in documents(manifest, "text", "heldout")}) == 12


def test_a_data_set_of_before_there_were_sides_is_still_the_same(tmp_path):
    settings = prose.settings_of(prose.write(tmp_path / "a"))
    now = preparation._plain(settings)
    assert "side" not in now["sources"]["t"]
    declared = dataclasses.replace(settings.sources["t"], side="train")
    assert preparation._plain(dataclasses.replace(settings, sources={"t": declared}))["sources"]["t"]["side"] == "train"


def test_a_source_whose_packages_cannot_be_had_is_left_out(media, tmp_path, monkeypatch):
    def missing(name, folder):
        raise Unavailable(Problem("a package", None, "npm is not on this machine", "install npm"))

    monkeypatch.setitem(sources.SOURCES, "emoji", whole(missing))
    settings = settings_of(media)
    more = {**settings.sources, "e": SourceSettings("emoji", str(tmp_path / "fetched"), "image-text")}
    manifest = prepare(dataclasses.replace(settings, sources=more), tmp_path / "set")
    assert manifest.streams["image-text"].documents("train") + manifest.streams["image-text"].documents("heldout") == 24
    only = {**settings.sources, "p": more["e"]}
    with pytest.raises(Refusal, match=r"(?s)install npm.*image-text.*would hold no documents"):
        prepare(dataclasses.replace(settings, sources=only), tmp_path / "none")


def test_originals_are_kept_as_exhibits(prepared):
    _, manifest = prepared
    own = list(exhibits.read(manifest.directory, "audio-text", "heldout"))
    keys = {d.key for d in documents(manifest, "audio-text", "heldout")}
    assert own and {exhibit.key for exhibit in own} <= keys
    texts = [exhibit.media["text"] for exhibit in own]
    assert len(set(texts)) == len(texts)  # a concept each
    assert all(exhibit.media["audio"].samples.shape == (3000,) for exhibit in own)
    assert 0 < len(list(exhibits.read(manifest.directory, "image-text", "train"))) <= exhibits.MOST
    assert not list(exhibits.read(manifest.directory, "no-such-stream", "train"))
