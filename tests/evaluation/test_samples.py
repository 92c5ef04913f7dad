"""A folder of samples: nothing is written over, and what was made stays."""

import json

import numpy as np
import pytest
import soundfile
from PIL import Image

from mdm.codecs.codec import Sound
from mdm.evaluation.samples import SampleFolder
from mdm.evaluation.sheet import Picture
from mdm.problems import Refusal

PICTURE = np.full((8, 8, 3), 7, np.uint8)


def lines(path):
    return [json.loads(line) for line in (path / "samples.jsonl").read_text(encoding="utf-8").splitlines()]


def test_every_medium_is_written_with_its_line(tmp_path):
    sound = Sound(np.zeros(100, np.float32), 16_000)
    with SampleFolder(tmp_path / "new" / "out") as folder:
        folder.add(0, "joint-audio-text", {"text": "dög", "audio": sound}, {"text": b"GIF"}, {"seed": 3})
        folder.add(1, "text-to-image", {"image": PICTURE}, {}, {"seed": 4})
    first, second = lines(folder.path)
    assert first == {
        "number": 0,
        "task": "joint-audio-text",
        "files": {
            "text": "00000-joint-audio-text.txt",
            "audio": "00000-joint-audio-text.wav",
            "text-unmasking": "00000-joint-audio-text.text.gif",
        },
        "seed": 3,
    }
    assert (folder.path / first["files"]["text"]).read_text(encoding="utf-8") == "dög"
    assert soundfile.info(folder.path / first["files"]["audio"]).frames == 100
    np.testing.assert_array_equal(np.asarray(Image.open(folder.path / second["files"]["image"])), PICTURE)


def test_calls_number_on_and_write_nothing_over(tmp_path):
    for text in ("a", "b"):
        with SampleFolder(tmp_path) as folder:
            for number in range(2):
                folder.add(folder.first + number, "text", {"text": text}, {}, {})
    assert [line["number"] for line in lines(tmp_path)] == [0, 1, 2, 3]
    assert [(tmp_path / line["files"]["text"]).read_text() for line in lines(tmp_path)] == ["a", "a", "b", "b"]
    with SampleFolder(tmp_path) as folder, pytest.raises(FileExistsError):
        folder.add(0, "text", {"text": "c"}, {}, {})
    assert (tmp_path / "00000-text.txt").read_text() == "a"


def test_numbers_go_on_behind_files_whose_line_is_missing(tmp_path):
    (tmp_path / "00041-text.txt").write_text("killed before its line was written")
    with SampleFolder(tmp_path) as folder:
        assert folder.first == 42


def test_what_was_made_stays_when_a_call_fails(tmp_path):
    with pytest.raises(RuntimeError), SampleFolder(tmp_path) as folder:
        folder.add(0, "text", {"text": "a"}, {}, {})
        raise RuntimeError
    assert len(lines(tmp_path)) == 1
    with SampleFolder(tmp_path) as folder:  # the lock was given back
        assert folder.first == 1


def test_two_calls_at_once_are_refused(tmp_path):
    with SampleFolder(tmp_path), pytest.raises(Refusal, match="another job writes here"), SampleFolder(tmp_path):
        pass


def test_a_folder_that_cannot_be_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Refusal, match="--output"), SampleFolder(tmp_path / "file" / "out"):
        pass


def test_sheets_hold_so_many_pictures_and_are_named_by_their_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr("mdm.evaluation.sheet.MOST", 2)
    with SampleFolder(tmp_path) as folder:
        names = folder.add_sheets({number: Picture(PICTURE, "", "") for number in (5, 3, 4)})
    assert names == ["00003-to-00004.png", "00005-to-00005.png"]
