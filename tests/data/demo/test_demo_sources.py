"""The demo's sources, on packages of a few files that look like the real ones."""

import gzip
import json
import struct
import zlib

import numpy as np
import pytest
import soundfile
from PIL import Image

from mdm.data import sources
from mdm.data.demo import books, catalogue, glosses, synthesis
from mdm.data.demo.package import Unavailable
from mdm.data.sources import SourceSettings
from mdm.problems import Problem


def items(kind, folder):
    return list(sources.items(kind, SourceSettings(kind, str(folder), "s")))


def place_of(package, folder):
    """Where `fetch` finds a package that is there already."""
    place = folder / f"{package.client}-{package.name}-{package.version.replace(':', '_')}"
    place.mkdir(parents=True, exist_ok=True)
    return place


@pytest.fixture
def media(tmp_path):
    wave = {"unified": "1F44B", "image": "1f44b.png",
            "skin_variations": {"1F3FD": {"unified": "1F44B-1F3FD", "image": "1f44b-1f3fd.png"}}}  # fmt: skip
    heart = {"unified": "2764-FE0F", "image": "2764-fe0f.png"}
    for package, vendor in ((catalogue.EMOJI_GOOGLE, "google"), (catalogue.EMOJI_TWITTER, "twitter")):
        top = place_of(package, tmp_path) / "package"
        pictures = top / "img" / vendor / "64"
        pictures.mkdir(parents=True)
        (top / "emoji.json").write_text(json.dumps([wave, heart]))
        for file in ("1f44b.png", "1f44b-1f3fd.png", "2764-fe0f.png"):
            Image.new("RGBA", (64, 64), "red").save(pictures / file)
    names = {"\U0001f44b": "waving hand", "\u2764": "red heart"}
    derived = {"\U0001f44b\U0001f3fd": "waving hand: medium skin tone"}
    for package, top, own in (
        (catalogue.CLDR, "annotations", names),
        (catalogue.CLDR_DERIVED, "annotationsDerived", derived),
    ):
        folder = place_of(package, tmp_path) / "package" / top / "en"
        folder.mkdir(parents=True)
        entries = {emoji: {"tts": [name], "default": []} for emoji, name in own.items()}
        (folder / "annotations.json").write_text(json.dumps({top: {"annotations": entries}}))
    return tmp_path


def test_emoji_of_one_base_are_one_concept(media):
    found = items("emoji", media)
    assert len(found) == 6
    captions = {item.media["text"]() for item in found}
    assert captions == {"waving hand", "waving hand: medium skin tone", "red heart"}
    concepts = {item.media["text"](): item.concept for item in found}
    assert concepts["waving hand"] == concepts["waving hand: medium skin tone"] != concepts["red heart"]
    assert found[0].media["image"]().shape == (64, 64, 3)


def test_names_are_spoken_once_and_share_the_concept_of_their_pictures(media, monkeypatch):
    said = []

    def speak(text, file):
        said.append(text)
        soundfile.write(file, np.zeros(160, np.float32), 16_000, format="FLAC")

    monkeypatch.setattr(synthesis, "_speaker", lambda _: ("voice", speak))
    first = items("spoken-emoji", media)
    assert sorted(said) == ["red heart", "waving hand"]  # no skin tones
    assert {item.concept for item in first} == {item.concept for item in items("emoji", media)}
    assert first[0].media["audio"]().rate == 16_000
    said.clear()
    again = items("spoken-emoji", media)
    assert not said and [i.identity for i in again] == [i.identity for i in first]


def test_texts_are_made_speakable():
    assert synthesis.speakable("“cool” button – Côte d’Ivoire") == "cool button Cote d'Ivoire"  # noqa: RUF001
    assert synthesis.speakable("†") == "nothing"


def test_espeak_takes_over_where_flite_cannot_be_had(tmp_path, monkeypatch):
    def missing(name):
        def fail(_):
            raise Unavailable(Problem(name, None, "cannot be had", "install it"))

        return fail

    monkeypatch.setattr(synthesis, "_flite", missing("flite"))
    monkeypatch.setattr(synthesis, "_espeak", lambda _: "speaker")
    assert synthesis._speaker(tmp_path) == ("espeak", "speaker")
    monkeypatch.setattr(synthesis, "_espeak", missing("espeak"))
    with pytest.raises(Unavailable, match=r"(?s)flite.*espeak"):
        synthesis._speaker(tmp_path)


def test_prompts_leave_tones_and_long_clips_out(tmp_path):
    doc = place_of(catalogue.PROMPT_TEXTS, tmp_path) / "usr/share/doc/asterisk-core-sounds-en"
    doc.mkdir(parents=True)
    with gzip.open(doc / "core-sounds-en.txt.gz", "wt") as file:
        file.write("; a comment: here\n\ndigits/1: One.\nbeep: [a tone]\nlong: Very long.\ngone: Not there.\n")
    clips = place_of(catalogue.PROMPTS, tmp_path) / "usr/share/asterisk/sounds/en_US_f_Allison"
    (clips / "digits").mkdir(parents=True)
    for name, seconds in (("digits/1", 1), ("beep", 1), ("long", 30)):
        soundfile.write(clips / f"{name}.wav", np.zeros(8000 * seconds), 8000)
    (found,) = items("prompts", tmp_path)
    assert found.media["text"]() == "One." and found.key == "prompts/digits/1"


def test_stamps_and_the_people_who_read_them(tmp_path):
    top = place_of(catalogue.STAMPS, tmp_path) / "usr/share/tuxpaint/stamps/animals"
    top.mkdir(parents=True)
    (top / "tiger.txt").write_text("A tiger.\nes.utf8=Un tigre.\nfr.utf8=Un tigre.\n", encoding="utf-8")
    Image.new("RGB", (30, 20)).save(top / "tiger.png")
    soundfile.write(top / "tiger_desc_es.ogg", np.zeros(44_100), 44_100)
    (picture,) = items("stamps", tmp_path)
    (speech,) = items("spoken-stamps", tmp_path)
    assert picture.media["text"]() == "A tiger." and speech.media["text"]() == "Un tigre."
    assert picture.concept == speech.concept and speech.key.endswith("tiger.es")


def test_novels_are_read_out_of_an_r_database(tmp_path):
    line = b"It is a truth universally acknowledged, that a single man is in want."
    lines = ([line] * 3 + [b""]) * 700  # paragraphs of three lines
    strings = b"".join(b"\x00\x04\x00\x09" + struct.pack(">i", len(own)) + own for own in lines)
    stream = zlib.compress(strings)
    data = place_of(catalogue.NOVELS, tmp_path) / "usr/lib/R/site-library/janeaustenr/data"
    data.mkdir(parents=True)
    (data / "Rdata.rdb").write_bytes(b"junk" + struct.pack(">i", len(strings)) + stream)
    found = items("novels", tmp_path)
    paragraph = " ".join([line.decode()] * 3)
    assert [item.media["text"]() for item in found] == [
        "\n".join([paragraph] * 2)
    ] * 350  # of at least PASSAGE characters
    concepts = [item.concept for item in found]
    assert len(set(concepts)) == -(-350 // -(-books.PART // (2 * len(paragraph) + 1)))
    assert concepts == sorted(concepts) and len({item.key for item in found}) == len(found)


def test_scripture_is_read_out_of_a_sword_module(tmp_path):
    top = place_of(catalogue.SCRIPTURE, tmp_path) / "usr/share/sword/modules/texts/ztext/engWEB2015eb"
    top.mkdir(parents=True)
    for book, text in (
        ("ot", "In the <w>beginning</w> , God<note>a note</note> created.<div/>“ Let"),
        ("nt", "The end."),
    ):
        block = zlib.compress(text.encode())
        (top / f"{book}.bzz").write_bytes(block)
        (top / f"{book}.bzs").write_bytes(struct.pack("<III", 0, len(block), len(text)))
    (found,) = items("scripture", tmp_path)
    assert found.media["text"]() == "In the beginning, God created.\n“Let\nThe end."


def test_glosses_and_their_examples(tmp_path):
    top = place_of(catalogue.WORDNET, tmp_path) / "package" / "dict"
    top.mkdir(parents=True)
    entry = '00001740 03 n 01 red_apple 0 001 @ 00001930 n 0000 | a fruit; "she gave me a red apple"; "no"\n'
    for file in ("data.noun", "data.verb", "data.adj", "data.adv"):
        (top / file).write_text("  1 a licence | of many lines\n" + (entry if file == "data.noun" else ""))
    (found,) = items("glosses", tmp_path)
    assert found.media["text"]() == 'red apple: a fruit; "she gave me a red apple"; "no"'
    assert glosses.examples(tmp_path) == ["she gave me a red apple"]
