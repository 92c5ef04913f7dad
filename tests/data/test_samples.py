"""The media that ship with the package are whole, small, and attributed."""

import csv

import numpy as np
import pytest

from mdm.data import samples, sources
from mdm.data.sources import SourceSettings

FOLDERS = {"images": "captioned-images", "speech": "transcribed-speech", "prose": "prose"}


def items(folder):
    return list(sources.items(folder, SourceSettings(FOLDERS[folder], f"samples://{folder}", folder)))


@pytest.fixture(scope="module")
def opened():
    return {folder: [{m: read() for m, read in item.media.items()} for item in items(folder)] for folder in FOLDERS}


def test_pictures_are_64_pixels_and_not_blank(opened):
    for media in opened["images"]:
        assert media["image"].shape == (64, 64, 3) and media["image"].std() > 5
    assert len(opened["images"]) > 400


def test_speech_is_16_khz_and_audible(opened):
    for media in opened["speech"]:
        sound = media["audio"]
        assert sound.rate == 16_000 and 0.5 < len(sound.samples) / sound.rate < 4
        assert np.abs(sound.samples).max() > 0.05 and np.isfinite(sound.samples).all()
    assert len(opened["speech"]) == 300


def test_texts_are_clean(opened):
    for media in [*opened["images"], *opened["speech"]]:
        assert media["text"] == media["text"].lower().strip() and media["text"].isprintable()
    assert all(5_000 < len(media["text"]) < 20_000 for media in opened["prose"])


def test_tables_and_folders_name_the_same_files():
    for folder, table in (("images", "captions.tsv"), ("speech", "transcripts.tsv")):
        path = samples.directory() / folder
        with open(path / table, encoding="utf-8") as file:
            named = [row["file"] for row in csv.DictReader(file, delimiter="\t")]
        assert sorted(named) == sorted(p.name for p in path.iterdir() if p.name != table)


def test_variants_share_a_concept():
    concept = {item.key: item.concept for item in [*items("images"), *items("speech")]}
    assert concept["images/red-heart.png"] == concept["images/blue-heart.png"]
    assert concept["speech/001-slt.ogg"] == concept["speech/001-rms.ogg"]


def test_the_folder_is_small_and_attributed():
    root = samples.directory()
    files = [p for p in root.rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    assert sum(p.stat().st_size for p in files) < 6_000_000
    text = (root / "ATTRIBUTION.md").read_text(encoding="utf-8")
    assert all(f"`{folder}/" in text for folder in FOLDERS)
    assert all(f"licenses/{path.name}" in text for path in (root / "licenses").iterdir())
