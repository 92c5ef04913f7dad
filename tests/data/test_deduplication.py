"""Duplicates: one of each stays, a held-out one before one for training; what only looks alike stays too."""

import dataclasses
import json
import random

import numpy as np
import pytest

from mdm.codecs.codec import Sound
from mdm.data import deduplication, duplicates
from mdm.data.engine import Engine
from tests.data import prose

pytest.importorskip("apache_beam")


def sentence(seed: int, words: int = 60) -> list[str]:
    generator = random.Random(seed)
    return [f"w{generator.randrange(5000)}" for _ in range(words)]


def summary(manifest):
    return json.loads((manifest.directory / "summary.json").read_text())


def write(path, lines, files=3):
    path.mkdir()
    for number in range(files):
        (path / f"{number}.txt").write_text("\n".join(lines[number::files]) + "\n")
    return path


def options(kind):
    return dataclasses.replace(prose.LINES, duplicates=kind)


def test_equal_documents_stay_once(tmp_path):
    own = [" ".join(sentence(seed)) for seed in range(40)]
    media = write(tmp_path / "media", own + own[:25] + own[:5])
    kept = prose.prepared(prose.settings_of(media), tmp_path / "kept")
    assert len(prose.texts(kept)) == 70
    found = prose.prepared(prose.settings_of(media, options("exact")), tmp_path / "set", Engine(workers=2))
    assert sorted(prose.texts(found).values()) == sorted(own)
    assert summary(found)["duplicates"] == {"exact": 30, "near": 0}


def test_no_text_for_training_is_held_out_too(tmp_path):
    # Files are what is split by: where concept and key are one, the order alone would put the held-out ones first.
    media = write(tmp_path / "media", [" ".join(sentence(seed % 30)) for seed in range(90)], files=45)
    by_file = dataclasses.replace(prose.LINES, split_by="file")
    before = prose.prepared(prose.settings_of(media, by_file, heldout=0.3), tmp_path / "kept")
    sides = lambda m: [set(prose.texts(m, split=split).values()) for split in ("train", "heldout")]  # noqa: E731
    train, heldout = sides(before)
    assert train & heldout
    exact = dataclasses.replace(by_file, duplicates="exact")
    after = prose.prepared(prose.settings_of(media, exact, heldout=0.3), tmp_path / "set")
    assert sides(after) == [train - heldout, heldout]


def test_nearly_equal_texts_stay_once_and_others_all(tmp_path):
    pytest.importorskip("rensa")
    own = [sentence(seed, 200) for seed in range(30)]
    near = [[*words[:100], "changed", *words[101:]] for words in own[:12]]  # shares 191 of 201 word sequences
    alike = [
        [f"x{i}" if i % 25 == 9 else word for i, word in enumerate(words)] for words in own[14:26]
    ]  # shares 156 of 236
    halves = [[*own[12][:100], *sentence(77, 100)], [*own[13][:100], *sentence(78, 100)]]
    media = write(tmp_path / "media", [" ".join(words) for words in own + near + alike + halves])
    exact = prose.prepared(prose.settings_of(media, options("exact")), tmp_path / "exact")
    assert len(prose.texts(exact)) == 56
    found = prose.prepared(prose.settings_of(media, options("near")), tmp_path / "set")
    assert len(prose.texts(found)) == 44 and summary(found)["duplicates"] == {"exact": 0, "near": 12}
    for words, other in zip(own, near, strict=False):
        assert sum(" ".join(text) in prose.texts(found).values() for text in (words, other)) == 1


def test_little_is_held_of_each_document_to_find_duplicates(tmp_path, monkeypatch):
    pytest.importorskip("rensa")
    media = write(tmp_path / "media", [" ".join(sentence(seed)) for seed in range(300)])
    stages, grouped = deduplication.stages, []

    def counted(job):
        grouped.extend(own for number in range(3) for own in stages(job)[0](number))
        return stages(job)

    monkeypatch.setattr(deduplication, "stages", counted)
    prose.prepared(prose.settings_of(media, options("near")), tmp_path / "set")
    assert 0 < len(grouped) <= 3 * 2 * 64  # each costs a few hundred bytes in a runner, whatever it holds
    assert sum(len(content) for _, (_, content) in grouped) <= 300 * 365


def test_media_are_told_apart_by_all_that_they_are():
    sound = np.zeros(8, np.float32)
    pictures = [np.zeros((2, 3, 3), np.uint8), np.zeros((3, 2, 3), np.uint8)]
    media = [
        {"text": "a"},
        {"text": "b"},
        *({"image": own} for own in pictures),
        {"audio": Sound(sound, 8)},
        {"audio": Sound(sound, 16)},
        {"text": "a", "image": pictures[0]},
    ]
    assert len({duplicates.digest(own).tobytes() for own in media}) == len(media)
    assert duplicates.digest({"text": "a"}).tobytes() == duplicates.digest({"text": "a"}).tobytes()
