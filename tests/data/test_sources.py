"""Media on disk: listed in a stable order, and refused by name when they cannot be used."""

import re

import numpy as np
import pytest
import soundfile
from PIL import Image

from mdm.data import media, sources
from mdm.data.sources import SourceSettings
from mdm.problems import Refusal


def items(kind, path):
    return list(sources.items("own", SourceSettings(kind, str(path), "s")))


@pytest.fixture
def folder(tmp_path):
    Image.new("RGBA", (8, 6), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    Image.new("L", (8, 6), 7).save(tmp_path / "grey.png")
    soundfile.write(tmp_path / "stereo.wav", np.full((100, 2), [0.5, 0.1]), 8000)
    (tmp_path / "table.tsv").write_text(
        "file\tcaption\nclear.png\ta clear one\ngrey.png\ta grey one\n", encoding="utf-8"
    )
    return tmp_path


def test_pairs_of_a_table(folder):
    first, second = items("captioned-images", folder)
    assert first.key == "own/clear.png" and first.concept == "a clear one"
    assert first.media["text"]() == "a clear one"
    assert (first.media["image"]() == 255).all()  # transparency is white
    assert second.media["image"]().shape == (6, 8, 3) and (second.media["image"]() == 7).all()


def test_a_concept_column_is_used(folder):
    (folder / "table.tsv").write_text("concept\tfile\tcaption\none\tgrey.png\tgrey\n")
    assert [item.concept for item in items("captioned-images", folder)] == ["one"]


def test_a_row_of_more_fields_than_columns_costs_itself_and_quotes_are_literal(folder):
    rows = ["clear.png\ta clear\tone", 'grey.png\t"a grey" one', "grey.png\tgrey\t"]
    (folder / "table.tsv").write_text("\n".join(["file\tcaption", *rows]))
    long, quoted, empty = items("captioned-images", folder)
    for item, line in ((long, 2), (empty, 4)):
        for read in item.media.values():
            with pytest.raises(Refusal, match=rf"table\.tsv line {line} .*has 3 fields for 2 columns"):
                read()
    assert quoted.media["text"]() == '"a grey" one'
    (folder / "table.tsv").write_text("file\tcaption\tconcept\ngrey.png\tgrey\n")  # fewer are none of the rest
    assert items("captioned-images", folder)[0].media["text"]() == "grey"


def test_channels_are_averaged(folder):
    sound = media.read_sound(folder / "stereo.wav")
    assert sound.rate == 8000 and sound.samples.dtype == np.float32
    np.testing.assert_allclose(sound.samples, 0.3, atol=1e-3)


def test_prose_is_a_file_a_document(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "two.txt").write_text("two\r\nlines", newline="")
    (tmp_path / "one.txt").write_text("one")
    found = items("prose", tmp_path)
    assert [item.key for item in found] == ["own/b/two.txt", "own/one.txt"]
    assert found[0].media["text"]() == "two\nlines"


def test_an_edited_caption_changes_the_identity(folder):
    before = [item.identity for item in items("captioned-images", folder)]
    table = folder / "table.tsv"
    table.write_text(table.read_text().replace("a grey one", "one that is grey"))
    after = [item.identity for item in items("captioned-images", folder)]
    assert before[0] == after[0] and before[1] != after[1]


@pytest.mark.parametrize("content", [b"", b"not a picture", None])
def test_a_broken_picture_is_named(folder, content):
    path = folder / "grey.png"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if content is None else content)
    with pytest.raises(Refusal, match=r"grey\.png.*not a readable picture"):
        items("captioned-images", folder)[1].media["image"]()


def test_a_picture_stands_as_its_exif_says(folder):
    corner = np.zeros((16, 24, 3), np.uint8)
    corner[:8, :8] = 255
    turned = Image.Exif()
    turned[0x0112] = 6  # to be shown turned clockwise by a quarter
    Image.fromarray(corner).save(folder / "turned.jpg", quality=95, exif=turned)
    found = media.read_image(folder / "turned.jpg")
    assert found.shape == (24, 16, 3)
    assert found[:6, 10:].mean() > 240 and found[:6, :6].mean() < 15


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_sixteen_bits_of_grey_keep_their_tones(folder, ending):
    grey = np.array([[0, 257, 30_000, 65_535]], np.uint16)
    Image.fromarray(grey).save(folder / f"deep.{ending}")
    assert media.read_image(folder / f"deep.{ending}").tolist() == [[[tone] * 3 for tone in (0, 1, 117, 255)]]


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_pixels_without_a_known_range_are_refused(folder, kind):
    Image.fromarray(np.ones((2, 3), kind)).save(folder / "deep.tif")
    with pytest.raises(Refusal, match=r"deep\.tif.*black and white are not known.*8 or 16 bits"):
        media.read_image(folder / "deep.tif")


def test_a_picture_bomb_is_refused_before_it_is_decoded(folder, monkeypatch):
    monkeypatch.setattr(media, "MOST_PIXELS", 40)
    with pytest.raises(Refusal, match=r"grey\.png.*more than 40 pixels"):
        media.read_image(folder / "grey.png")


def test_empty_broken_and_endless_sounds_are_named(folder, monkeypatch):
    path = folder / "sound.wav"
    soundfile.write(path, np.zeros(0), 8000)
    with pytest.raises(Refusal, match=r"sound\.wav.*holds no sound"):
        media.read_sound(path)
    path.write_bytes(b"RIFF")
    with pytest.raises(Refusal, match=r"sound\.wav.*not a readable sound"):
        media.read_sound(path)
    monkeypatch.setattr(media, "MOST_SECONDS", 0.001)
    with pytest.raises(Refusal, match=r"stereo\.wav.*longer than"):
        media.read_sound(folder / "stereo.wav")


@pytest.mark.parametrize("table, reason", [(b"file\ttext\na\tb\n", "no column"), (b"", "no column"),
                                           (b"fil\xe9\tcaption\n", "line 1.*not UTF-8")])  # fmt: skip
def test_a_table_whose_header_cannot_be_used_is_refused(folder, table, reason):
    (folder / "table.tsv").write_bytes(table)
    with pytest.raises(Refusal, match=r"table\.tsv.*" + reason):
        items("captioned-images", folder)
    (folder / "table.tsv").write_text("file\tcaption\ngrey.png\tx\n")
    options = sources.SOURCES["captioned-images"].options(split_by="who")
    with pytest.raises(Refusal, match=r"table\.tsv.*has no column who"):
        list(sources.items("own", SourceSettings("captioned-images", str(folder), "s", options)))


@pytest.mark.parametrize("row, reason", [
    (b"grey.png\t ", "no text but blanks"), (b"../grey.png\tx", "lies outside"), (b"grey.png\tgr\xfcn", "not UTF-8"),
    (b"a\0b.png\tx", "is no path"), (b"grey.png", "no text but blanks"), (b"\tx", "names no file"),
    (b"x" * 300 + b"\tgrey.png", "not a readable picture"),
])  # fmt: skip
def test_a_row_of_a_table_that_cannot_be_used_costs_itself_alone(folder, row, reason):
    (folder / "table.tsv").write_bytes(
        b"\xef\xbb\xbffile\tcaption\r\ngrey.png\tone\r\n" + row + b"\r\n\r\nclear.png\ttwo"
    )
    first, bad, last = items("captioned-images", folder)
    assert (first.media["text"](), last.media["text"]()) == ("one", "two") and last.media["image"]().shape == (6, 8, 3)
    with pytest.raises(Refusal, match=reason) as refused:
        bad.media["image"]()
    assert "table.tsv line 3" in str(refused.value) or "x" * 300 in str(refused.value)


def test_a_sound_that_no_codec_takes_names_its_record(folder):
    soundfile.write(folder / "fast.wav", np.full(100, 0.5), 2_000_000)
    (folder / "table.tsv").write_text("file\ttranscript\nfast.wav\tquick\nstereo.wav\tgood\n")
    fast, good = items("transcribed-speech", folder)
    with pytest.raises(Refusal, match=rf"{re.escape(str(folder))}/fast\.wav: sound = 2000000: is no rate"):
        fast.media["audio"]()
    assert fast.media["text"]() == "quick" and good.media["audio"]().rate == 8000


def test_folders_without_media_and_unknown_kinds_are_refused(tmp_path):
    with pytest.raises(Refusal, match="exactly one"):
        items("captioned-images", tmp_path)
    with pytest.raises(Refusal, match=r"no \.txt"):
        items("prose", tmp_path)
    assert SourceSettings("films", str(tmp_path), "s").problems("at")[0].where == "at.kind"
    assert SourceSettings("prose", str(tmp_path / "none"), "s").problems("at")[0].where == "at.path"


def test_a_sound_that_would_fill_the_memory_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(media, "MOST_SAMPLES", 1000)
    soundfile.write(tmp_path / "many.wav", np.zeros((400, 3)), 8000)
    soundfile.write(tmp_path / "few.wav", np.zeros((400, 2)), 8000)
    soundfile.write(tmp_path / "fast.wav", np.zeros(400), 400_001)
    assert len(media.read_sound(tmp_path / "few.wav").samples) == 400
    monkeypatch.setattr(soundfile.SoundFile, "read", lambda *_, **__: pytest.fail("decoded"))
    with pytest.raises(Refusal, match=r"many\.wav: .*400 samples of 3 channels are more than 1000"):
        media.read_sound(tmp_path / "many.wav")
    with pytest.raises(Refusal, match=r"fast\.wav: sound = 400001: is no rate of samples a second"):
        media.read_sound(tmp_path / "fast.wav")

    def full(*_, **__):
        raise MemoryError

    monkeypatch.setattr(soundfile.SoundFile, "read", full)
    with pytest.raises(Refusal, match=r"few\.wav: is not a readable sound \(MemoryError"):
        media.read_sound(tmp_path / "few.wav")


@pytest.mark.parametrize("read", [media.read_image, media.read_sound])
def test_bytes_that_are_no_medium_are_told_alike_in_each_run(read):
    with pytest.raises(Refusal, match="a.tar: 1.any") as told:
        read(b"nothing", "a.tar: 1.any")
    assert "BytesIO" not in str(told.value) and "0x" not in str(told.value)
