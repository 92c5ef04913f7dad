"""Exhibits: what a data set keeps of its originals comes back, and what a copy has lost or broken is named."""

import errno
import json
from pathlib import Path

import numpy as np
import pytest

from mdm.data import exhibits
from mdm.data.media import Item
from mdm.problems import Refusal

KEYS = ("a/1", "line\u2028separator\u0085and more", "c")


def item(key):
    media = {"text": lambda: f"text of {key}\nand more", "image": lambda: np.full((4, 6, 3), 7, np.uint8)}
    return Item(key, key, media, "1")


@pytest.fixture
def folder(tmp_path):
    exhibits.write(tmp_path, "pairs", "heldout", map(item, KEYS))
    return tmp_path / "exhibits" / "pairs" / "heldout"


def read(folder):
    return list(exhibits.read(folder.parents[2], "pairs", "heldout"))


def test_they_come_back_whatever_their_keys_hold(folder):
    own = read(folder)
    assert [one.key for one in own] == list(KEYS)
    assert [one.media["text"] for one in own] == [f"text of {key}\nand more" for key in KEYS]
    assert all(one.media["image"].shape == (4, 6, 3) for one in own)


@pytest.mark.parametrize("name", ["001.txt", "001.png"])
def test_a_file_that_a_copy_left_out_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(Refusal, match=name.replace(".", r"\.")):
        read(folder)


def test_a_text_that_is_none_is_named(folder):
    (folder / "001.txt").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(Refusal, match=r"001\.txt: cannot be read"):
        read(folder)


@pytest.mark.parametrize("line", ["{", "3", "{}", "[" * 100_000, '{"key": "a"}', '{"key": "a", "files": []}',
                                  '{"key": "a", "files": {"smell": "a.txt"}}', '{"key": "a", "files": {"text": 3}}'])  # fmt: skip
def test_a_damaged_line_is_named(folder, line):
    first, *_ = (folder / "index.jsonl").read_text().split("\n")
    assert json.loads(first)
    (folder / "index.jsonl").write_text(f"{first}\n{line}\n")
    with pytest.raises(Refusal, match=r"index\.jsonl: line 2: is no exhibit"):
        read(folder)


def test_storage_that_fails_is_not_taken_for_a_damaged_file(folder, monkeypatch):
    def fails(*_, **__):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Path, "read_text", fails)
    with pytest.raises(OSError, match="Input/output"):
        read(folder)
